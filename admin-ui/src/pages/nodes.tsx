import { PageHead } from "../components/basics";
import { t } from "../i18n";
import type { PageProps } from "./pages";

export function Nodes(_: PageProps) {
  return <PageHead title={t("nav.nodes")} lead={t("lead.nodes")} />;
}
