// ws as a peer; README.md says what a peer does.
"use strict";

const { once } = require("node:events");
const { WebSocket, WebSocketServer } = require("ws");

const DEFLATE = { threshold: 0 };
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
const MESSAGES = ["h\u00e9llo", BYTES, Buffer.alloc(0), "x".repeat(1 << 20)];

function sendFragments(ws) {
  ws.send("one ", { fin: false });
  ws.send("two ", { fin: false });
  ws.send("three");
}

async function client(uri) {
  const result = { echoed: 0 };
  const ws = new WebSocket(uri, ["chat"], { perMessageDeflate: DEFLATE });
  await once(ws, "open");
  const next = async () => {
    const [data, isBinary] = await once(ws, "message");
    return isBinary ? data : data.toString();
  };
  result.subprotocol = ws.protocol;
  result.compressed = ws.extensions.startsWith("permessage-deflate");
  for (const message of MESSAGES) {
    ws.send(message);
    const echo = await next();
    result.echoed += typeof message === "string" ? echo === message : message.equals(echo);
  }
  sendFragments(ws);
  result.fragments = (await next()) === "one two three";
  ws.send("fragments");
  result.joined = (await next()) === "one two three";
  ws.ping("there?");
  result.pinged = String((await once(ws, "pong"))[0]) === "there?";
  ws.send("ping");
  result.ponged = (await next()) === "ponged";
  ws.close(3000, "done");
  result.closed = (await once(ws, "close"))[0];
  const [code, reason] = await once(new WebSocket(uri + "close"), "close");
  result.server_closed = [code, String(reason)];
  console.log(JSON.stringify(result));
}

function server() {
  const listener = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: DEFLATE });
  listener.on("listening", () => console.log(listener.address().port));
  listener.on("connection", (ws) => {
    ws.on("close", (code, reason) => console.log("closed", code, String(reason)));
    ws.on("pong", () => ws.send("ponged"));
    ws.on("message", (data, isBinary) => {
      const text = isBinary ? null : data.toString();
      if (text === "fragments") sendFragments(ws);
      else if (text === "ping") ws.ping("there?");
      else if (text === "close") ws.close(3001, "bye");
      else ws.send(data, { binary: isBinary });
    });
  });
}

if (process.argv[2] === "client") client(process.argv[3]);
else server();
