import { t } from "../i18n";

/** The sign and the name of the program. */
export function Mark() {
  return (
    <span class="mark">
      <svg viewBox="0 0 32 20" width="32" height="20" aria-hidden="true">
        <path d="M1 3h9l6 7-6 7H1M16 10h15" />
        <circle cx="16" cy="10" r="3.6" />
      </svg>
      <span>{t("app.name")}</span>
    </span>
  );
}
