import { PageHead } from "../components/basics";
import { t } from "../i18n";
import type { PageProps } from "./pages";

export function Certificates(_: PageProps) {
  return <PageHead title={t("nav.certificates")} lead={t("lead.certificates")} />;
}
