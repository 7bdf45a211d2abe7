// Does the gateway answer?

import { store } from "./store";

export interface Link {
  /** When it answered last, in milliseconds since 1970. */
  answeredAt: number | null;
  /** Has it failed to answer since? */
  failing: boolean;
}

const state = store<Link>({ answeredAt: null, failing: false });

export const link = {
  get: state.get,
  subscribe: state.subscribe,
  answered() {
    state.set({ answeredAt: Date.now(), failing: false });
  },
  failed() {
    state.set({ ...state.get(), failing: true });
  },
};
