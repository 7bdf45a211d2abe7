import { PageHead } from "../components/basics";
import { t } from "../i18n";
import type { PageProps } from "./pages";

export function HighAvailability(_: PageProps) {
  return <PageHead title={t("nav.ha")} lead={t("lead.ha")} />;
}
