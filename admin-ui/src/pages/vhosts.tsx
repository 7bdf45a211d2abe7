import { PageHead } from "../components/basics";
import { t } from "../i18n";
import type { PageProps } from "./pages";

export function Vhosts(_: PageProps) {
  return <PageHead title={t("nav.vhosts")} lead={t("lead.vhosts")} />;
}
