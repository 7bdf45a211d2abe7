import { PageHead } from "../components/basics";
import { t } from "../i18n";
import type { PageProps } from "./pages";

export function Configuration(_: PageProps) {
  return <PageHead title={t("nav.config")} lead={t("lead.config")} />;
}
