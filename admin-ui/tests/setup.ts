// The little of a browser that the tested parts touch.

const values = new Map<string, string>();
Object.assign(globalThis, {
  localStorage: {
    getItem: (name: string) => values.get(name) ?? null,
    setItem: (name: string, value: string) => values.set(name, value),
    removeItem: (name: string) => values.delete(name),
  },
  location: { pathname: "/ui/", hash: "" },
  document: { documentElement: { dataset: {} }, hidden: false },
  window: { matchMedia: () => ({ addEventListener: () => undefined }) },
});
// Newer versions of Node.js have a navigator of their own.
if (typeof navigator === "undefined") Object.assign(globalThis, { navigator: { languages: ["en"] } });
