import { PageHead } from "../components/basics";
import { t } from "../i18n";
import type { PageProps } from "./pages";

export function Access(_: PageProps) {
  return <PageHead title={t("nav.access")} lead={t("lead.access")} />;
}
