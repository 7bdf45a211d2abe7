// A value that components follow.

import { useEffect, useState } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(value: T): void;
  subscribe(follower: () => void): () => void;
}

export function store<T>(initial: T): Store<T> {
  let value = initial;
  const followers = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const follower of [...followers]) follower();
    },
    subscribe(follower) {
      followers.add(follower);
      return () => followers.delete(follower);
    },
  };
}

/** The value of a store, and a new render whenever it changes. */
export function useStore<T>(of: Pick<Store<T>, "get" | "subscribe">): T {
  const [value, setValue] = useState<T>(() => of.get());
  useEffect(() => {
    setValue(() => of.get());
    return of.subscribe(() => setValue(() => of.get()));
  }, [of]);
  return value;
}
