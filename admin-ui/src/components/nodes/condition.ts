// How a node is, in a word or two.

import type { Node } from "../../api/types";
import { t } from "../../i18n";
import type { Tone } from "../basics";

/** The most important thing that is to be said of a node. */
export function condition(node: Node): { tone: Tone; text: string } {
  const { broker } = node;
  if (node.gone) return { tone: "quiet", text: t("node_state.gone") };
  if (node.admin_state === "draining") return { tone: "warning", text: t("node_state.draining") };
  if (node.admin_state === "disabled") return { tone: "quiet", text: t("node_state.disabled") };
  if (node.verdict === "down") return { tone: "bad", text: t("node_state.down") };
  if (broker.minority) return { tone: "bad", text: t("node_state.minority") };
  if (broker.maintenance) return { tone: "warning", text: t("node_state.maintenance") };
  if (broker.memory_alarm) return { tone: "bad", text: t("node_state.memory_alarm") };
  if (broker.disk_alarm) return { tone: "bad", text: t("node_state.disk_alarm") };
  if (node.left_out) return { tone: "warning", text: t("node_state.left_out") };
  if (node.verdict === "up") return { tone: "good", text: t("node_state.up") };
  return { tone: "unknown", text: t("node_state.unknown") };
}
