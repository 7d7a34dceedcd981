// undici as a peer; README.md says what a peer does. As in browsers there are no Pings, no fragments and no server.
"use strict";

const { WebSocket } = require("undici");

const BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);
const MESSAGES = ["h\u00e9llo", BYTES, new Uint8Array(0), "x".repeat(1 << 20)];

const next = (ws, type) => new Promise((resolve) => ws.addEventListener(type, resolve, { once: true }));

function open(uri) {
  const ws = new WebSocket(uri, ["chat"]);
  ws.binaryType = "arraybuffer";
  return ws;
}

async function client(uri) {
  const result = { echoed: 0, fragments: null, pinged: null };
  const ws = open(uri);
  await next(ws, "open");
  result.subprotocol = ws.protocol;
  result.compressed = ws.extensions.startsWith("permessage-deflate");
  for (const message of MESSAGES) {
    ws.send(message);
    const { data } = await next(ws, "message");
    result.echoed += typeof message === "string" ? data === message : Buffer.from(message).equals(Buffer.from(data));
  }
  ws.send("fragments");
  result.joined = (await next(ws, "message")).data === "one two three";
  ws.send("ping");
  result.ponged = (await next(ws, "message")).data === "ponged";
  ws.close(3000, "done");
  result.closed = (await next(ws, "close")).code;
  const { code, reason } = await next(open(uri + "close"), "close");
  result.server_closed = [code, reason];
  console.log(JSON.stringify(result));
}

client(process.argv[3]);
