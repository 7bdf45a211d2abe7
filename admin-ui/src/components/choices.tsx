// Language and theme.

import { language, t, useLanguage } from "../i18n";
import { type Theme, themes } from "../state/prefs";
import { useStore } from "../state/store";

export function LanguageChoice() {
  const tag = useLanguage();
  return (
    <label class="choice">
      <span>{t("user.language")}</span>
      <select value={tag} onChange={(event) => language.choose(event.currentTarget.value)}>
        {language.all.map((l) => (
          <option key={l.tag} value={l.tag} lang={l.tag}>
            {l.name}
          </option>
        ))}
      </select>
    </label>
  );
}

export function ThemeChoice() {
  const theme = useStore(themes);
  return (
    <label class="choice">
      <span>{t("user.theme")}</span>
      <select value={theme} onChange={(event) => themes.choose(event.currentTarget.value as Theme)}>
        <option value="system">{t("user.theme_system")}</option>
        <option value="light">{t("user.theme_light")}</option>
        <option value="dark">{t("user.theme_dark")}</option>
      </select>
    </label>
  );
}
