import { PageHead } from "../components/basics";
import { t } from "../i18n";
import type { PageProps } from "./pages";

export function Sessions(_: PageProps) {
  return <PageHead title={t("nav.sessions")} />;
}
