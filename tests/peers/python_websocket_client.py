"""websocket-client as a peer; README.md says what a peer does. It has no compression, and no server."""

from __future__ import annotations

import json
import sys
from typing import Any

import websocket
from websocket import ABNF

MESSAGES = ["h\u00e9llo", bytes(range(256)), b"", "x" * (1 << 20)]


def client(uri: str) -> None:
    result: dict[str, Any] = {"compressed": None}
    ws = websocket.create_connection(uri, subprotocols=["chat"], timeout=30)
    result["subprotocol"] = ws.getsubprotocol()
    result["echoed"] = 0
    for message in MESSAGES:
        if isinstance(message, str):
            ws.send(message)
        else:
            ws.send_binary(message)
        result["echoed"] += ws.recv() == message
    ws.send_frame(ABNF.create_frame("one ", ABNF.OPCODE_TEXT, 0))
    ws.send_frame(ABNF.create_frame("two ", ABNF.OPCODE_CONT, 0))
    ws.send_frame(ABNF.create_frame("three", ABNF.OPCODE_CONT, 1))
    result["fragments"] = ws.recv() == "one two three"
    ws.send("fragments")
    result["joined"] = ws.recv() == "one two three"
    ws.ping("there?")
    opcode, frame = ws.recv_data_frame(control_frame=True)
    result["pinged"] = (opcode, frame.data) == (ABNF.OPCODE_PONG, b"there?")
    ws.send("ping")
    result["ponged"] = ws.recv() == "ponged"
    ws.send_close(3000, b"done")
    opcode, frame = ws.recv_data_frame(control_frame=True)
    assert opcode == ABNF.OPCODE_CLOSE
    result["closed"] = int.from_bytes(frame.data[:2], "big")
    ws.shutdown()
    ws = websocket.create_connection(uri + "close", timeout=30)
    _, frame = ws.recv_data_frame(control_frame=True)
    result["server_closed"] = [int.from_bytes(frame.data[:2], "big"), frame.data[2:].decode()]
    ws.close()
    print(json.dumps(result))


if __name__ == "__main__":
    client(sys.argv[2])
