import { expect, test } from "vitest";
import { parser, type Received } from "../src/api/stream";

function received(...pieces: string[]): Received[] {
  const all: Received[] = [];
  const parse = parser((one) => all.push(one));
  for (const piece of pieces) parse(piece);
  return all;
}

const stream = ": hello\n\nid: 1\nevent: node\ndata: {\"a\":\ndata: 1}\n\ndata: second\r\n\r\ndata: not yet";

test("events are taken apart, comments and unfinished ones left out", () => {
  expect(received(stream)).toEqual([
    { event: "node", data: '{"a":\n1}', id: "1" },
    { event: "message", data: "second", id: "1" },
  ]);
});

test("it does not matter in which pieces they come", () => {
  expect(received(...stream)).toEqual(received(stream));
});
