import { PageHead } from "../components/basics";
import { t } from "../i18n";
import type { PageProps } from "./pages";

export function Events(_: PageProps) {
  return <PageHead title={t("nav.events")} lead={t("lead.events")} />;
}
