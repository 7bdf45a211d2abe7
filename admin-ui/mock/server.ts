// A pretended gateway for `npm run dev` without VITE_GATEWAY. It is never part of the console.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Plugin } from "vite";
import { answer } from "./answers";
import { tap } from "./tap";

export function mock(): Plugin {
  return {
    name: "mock-gateway",
    apply: "serve",
    configureServer(server) {
      server.middlewares.use("/api/v1", (request: IncomingMessage, response: ServerResponse) => {
        const address = new URL(request.url ?? "/", "http://mock");
        const path = address.pathname.replace(/^\//, "");
        if (path === "tap") {
          tap(address.searchParams, request, response);
          return;
        }
        let body = "";
        request.on("data", (chunk: Buffer) => (body += chunk.toString()));
        request.on("end", () => {
          const { status = 200, json, headers = {} } = answer(request.method ?? "GET", path, address.searchParams, body);
          const type = status >= 400 ? "application/problem+json" : "application/json";
          response.writeHead(status, { "Content-Type": type, ...headers });
          response.end(json === undefined ? "" : JSON.stringify(json));
        });
      });
    },
  };
}
