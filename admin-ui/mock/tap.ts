// Lines of a pretended tap.

import type { IncomingMessage, ServerResponse } from "node:http";

const LINES: [string, string, string, number][] = [
  ["from_client", "basic.publish", 'exchange="orders" routing_key="order.created" mandatory=true', 63],
  ["from_client", "header", 'body_size=412 content_type="application/json" delivery_mode=2 headers={"trace": "5f2a"}', 71],
  ["from_client", "body", "412 octets", 420],
  ["from_node", "basic.ack", "delivery_tag=1841 multiple=false", 21],
  ["from_node", "basic.deliver", 'consumer_tag="ctag1.a" delivery_tag=77 redelivered=false exchange="orders" routing_key="order.created"', 88],
  ["from_client", "basic.ack", "delivery_tag=77 multiple=false", 21],
  ["from_client", "heartbeat", "", 8],
];

export function tap(query: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  let n = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < 3; i += 1) {
      const line = LINES[n % LINES.length];
      if (!line) return;
      const [direction, method, text, size] = line;
      n += 1;
      const value = {
        at: new Date().toISOString(), session: Number(query.get("session")), direction, channel: method === "heartbeat" ? 0 : 1,
        method, text, size, dropped: n % 200 === 0 ? 17 : 0,
        body: method === "body" && query.get("bodies") ? btoa('{"order": 4711, "state": "created"}') : null,
      };
      response.write(`data: ${JSON.stringify(value)}\n\n`);
    }
  }, 400);
  request.on("close", () => clearInterval(timer));
}
