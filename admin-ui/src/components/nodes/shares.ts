// What a rebalance would move: the same sums as the gateway makes when it begins.

import type { Node } from "../../api/types";

export interface Share {
  node: string;
  now: number;
  /** Sessions beyond its share. */
  surplus: number;
  /** Sessions that it would get. */
  room: number;
}

/** Nodes that may take sessions, with what is too much or too little on them by weight. */
export function shares(nodes: Node[]): Share[] {
  const taking = nodes.filter((node) => node.fitness === "fit" && !node.backup && !node.gone);
  const weights = taking.reduce((sum, node) => sum + node.weight, 0);
  const sessions = taking.reduce((sum, node) => sum + node.sessions, 0);
  const over = taking.map((node) => {
    const share = weights ? (sessions * node.weight) / weights : 0;
    return { node: node.node, now: node.sessions, surplus: Math.max(0, node.sessions - Math.ceil(share)), room: 0, share };
  });
  let moving = over.reduce((sum, share) => sum + share.surplus, 0);
  for (const share of [...over].sort((a, b) => a.now - a.share - (b.now - b.share))) {
    share.room = Math.min(moving, Math.max(0, Math.ceil(share.share) - share.now));
    moving -= share.room;
  }
  return over.map(({ node, now, surplus, room }) => ({ node, now, surplus, room }));
}
