import { defineConfig } from "vite";
import { mock } from "./mock/server";

// `npm run dev` shows the console against a running gateway: VITE_GATEWAY=http://127.0.0.1:15680 npm run dev.
// Without VITE_GATEWAY it answers from mock/, so that pages can be worked on without brokers.
const gateway = process.env["VITE_GATEWAY"];

export default defineConfig({
  // The same files work under /, /ui/ and behind a proxy that adds a path.
  base: "./",
  plugins: gateway ? [] : [mock()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    // The content security policy of the gateway allows no data: fonts or scripts: nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    port: 5173,
    proxy: gateway ? { "/api": { target: gateway, changeOrigin: true, headers: { origin: gateway } } } : {},
  },
});
