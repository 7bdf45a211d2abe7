// Who uses the console, and what they may do.

import type { Role, WhoAmI } from "../api/types";
import { store } from "./store";

export interface SessionState {
  who: WhoAmI | null;
  /** `asking` until the gateway has said who it is. */
  stage: "asking" | "in" | "out";
}

const state = store<SessionState>({ who: null, stage: "asking" });
const ORDER: Role[] = ["viewer", "operator", "admin"];

export const session = {
  get: state.get,
  subscribe: state.subscribe,
  loggedIn(who: WhoAmI) {
    state.set({ who, stage: "in" });
  },
  loggedOut() {
    state.set({ who: null, stage: "out" });
  },
};

/** Each role may all that those before it may. */
export function may(has: Role | undefined, takes: Role): boolean {
  return has !== undefined && ORDER.indexOf(has) >= ORDER.indexOf(takes);
}
