"""`wsproto-lite dissect`: formats recognised, tables and JSON, exit codes, what is missing or in the way."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packets import Talk, pcap, tcp
from patience import PATIENCE
from rich.cells import cell_len
from rich.console import Console
from test_conversation import ANSWER, COMPRESSED, DEFLATE, HELLO, RESPONSE, UPGRADE, accepting, offering

from wsproto_lite import _cli_table
from wsproto_lite import tcp as tcp_module
from wsproto_lite._cli_input import InputOptions, Located, read_records
from wsproto_lite._cli_table import TableOutput
from wsproto_lite.cli import main

CAPTURES = Path(__file__).parent / "captures"

OPTIONS = InputOptions("auto", None, False, None, 20)

Dissect = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def dissect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Dissect:
    """Dissect bytes; give the exit code, and what was written to standard output and error."""

    def run(data: bytes, *arguments: str) -> tuple[int, str, str]:
        file = tmp_path / "input"
        file.write_bytes(data)
        code = main(["dissect", str(file), *arguments])
        return code, *capsys.readouterr()

    return run


def objects(output: str) -> list[dict[str, Any]]:
    """Read the lines of --json."""
    return [json.loads(line) for line in output.splitlines()]


# ---- the input ----

INPUTS = {
    "raw": (HELLO, "client"),
    "raw_of_a_server": (ANSWER, "server"),
    "raw_with_handshake": (UPGRADE + HELLO, "client"),
    "hex": (b"# a frame\n81 85 37fa213d 7f9f4d5158\n", "client"),
    "hex_at_once": (b"810548656c6c6f", "server"),
    "hex_behind_a_line_break": (b"\n 81 05 48656c6c6f", "server"),
    "xxd": (b"00000000: 8105 4865 6c6c 6f                        ..Hello\n", "server"),
}


@pytest.mark.parametrize(("data", "sender"), INPUTS.values(), ids=INPUTS)
def test_formats(data: bytes, sender: str, dissect: Dissect) -> None:
    code, output, error = dissect(data, "--json")
    last = objects(output)[-1]
    assert (code, last["sender"], last["text"], error) == (0, sender, "Hello", "")


@pytest.mark.parametrize("data", [b"> " + UPGRADE.hex().encode() + b"\n<" + RESPONSE.hex().encode()], ids=["hex"])
def test_both_directions_in_hex(data: bytes, dissect: Dissect) -> None:
    """A mark stays in force for the lines that follow it."""
    data = b"# talk\n" + data + b" " + ANSWER[:3].hex().encode() + b"\n " + ANSWER[3:].hex().encode() + b"\n>"
    code, output, _ = dissect(data + HELLO.hex().encode(), "--json")
    assert code == 0
    kinds = [(record["type"], record["sender"], record.get("text")) for record in objects(output)]
    assert kinds == [
        ("request", "client", None),
        ("response", "server", None),
        ("frame", "server", "Hello"),
        ("frame", "client", "Hello"),
    ]


def test_long_line_in_hex(dissect: Dissect) -> None:
    frame = b"\x82\x7f" + (100_000).to_bytes(8, "big") + bytes(100_000)
    code, output, _ = dissect(b"< " + frame.hex().encode() + b"\n", "--json", "--payload", "2")
    (record,) = objects(output)
    assert (code, record["length"], record["payload"], record["complete"]) == (0, 100_000, "0000", True)


def test_forced_format_and_sender(dissect: Dissect) -> None:
    code, output, _ = dissect(b"0" + b"00000" * 10, "--json", "--format", "raw", "--from", "client")
    (record, *_) = objects(output)
    assert (code, record["sender"], record["header"]) == (1, "client", "3030")


def test_raw_in_large_pieces(dissect: Dissect) -> None:
    code, output, _ = dissect(b"\x82\x7f" + (1 << 20).to_bytes(8, "big") + bytes(1 << 20), "--json", "--payload", "0")
    (record,) = objects(output)
    assert (code, record["length"], record["payload"]) == (0, 1 << 20, "")


# ---- exit codes ----

EXITS = {
    "good": (HELLO, 0),
    "violation": (b"\x83\x00", 1),
    "violation_before_the_end": (b"\x83\x00\x81", 1),
    "violation_in_a_response": (RESPONSE.replace(b"Upgrade: websocket", b"Upgrade: x"), 1),
    "not_hexadecimal": (b"81 0g", 2),
    "empty": (b"", 3),
    "ends_in_a_frame": (HELLO[:-1], 3),
    "ends_in_a_header": (HELLO + b"\x81", 3),
    "too_short_to_tell": (b"G", 3),
    "capture_cut": (pcap([b"x"])[:-1], 3),
    "capture_of_nothing": (pcap([]), 3),
}


@pytest.mark.parametrize(("data", "expected"), EXITS.values(), ids=EXITS)
@pytest.mark.parametrize("output", ["--json", "--payload=10"], ids=["json", "table"])
def test_exit_codes(data: bytes, expected: int, output: str, dissect: Dissect) -> None:
    assert dissect(data, output)[0] == expected


def test_no_capture(dissect: Dissect) -> None:
    expected = (2, "", "wsproto-lite: input begins with b'\\x81\\x857\\xfa', which is neither pcap nor pcapng\n")
    assert dissect(HELLO, "--json", "--format", "capture") == expected


def test_compressed_input(dissect: Dissect) -> None:
    """What it begins with begins no frame."""
    code, _, error = dissect(gzip.compress(pcap([])), "--json")
    assert (code, error.partition(";")[0]) == (2, "wsproto-lite: input is compressed by gzip")


def test_violation_in_a_damaged_capture(dissect: Dissect) -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.from_client(UPGRADE), talk.from_server(RESPONSE + b"\x83\x00"), b"x"]
    code, _, error = dissect(pcap(packets)[:-1], "--json")
    assert (code, error) == (1, "wsproto-lite: capture ends within a packet\n")


MISTAKES = {
    "no_such_file": (["no-such-file"], "wsproto-lite: can't read no-such-file: No such file or directory\n"),
    "directory": (["/"], "wsproto-lite: can't read /: Is a directory\n"),
    "payload": (["-", "--payload", "-1"], "payload is '-1'; it is a number from 0 to 67108864"),
    "format": (["-", "--format", "xml"], "invalid choice"),
    "port": (["-", "--port", "65536"], "port is '65536'; it is a number from 0 to 65535"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["dissect", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "arguments", "is_hinted"),
    [
        (COMPRESSED, [], True),
        (COMPRESSED, ["--deflate"], False),
        (RESPONSE + COMPRESSED, [], False),
        (b"\x83\x00", [], False),
    ],
    ids=["may_be_deflate", "is_deflate", "is_not", "other_fault"],
)
def test_hint(data: bytes, arguments: list[str], is_hinted: bool, dissect: Dissect) -> None:
    _, _, error = dissect(data, "--json", *arguments)
    assert ("use --deflate" in error) == is_hinted


# ---- JSON ----


def test_json_of_a_frame(dissect: Dissect) -> None:
    assert objects(dissect(HELLO, "--json")[1]) == [
        {
            "type": "frame",
            "sender": "client",
            "offset": 0,
            "fin": 1,
            "rsv1": 0,
            "rsv2": 0,
            "rsv3": 0,
            "opcode": 1,
            "name": "text",
            "header": "8185",
            "masking_key": "37fa213d",
            "length": 5,
            "complete": True,
            "payload": b"Hello".hex(),
            "text": "Hello",
        }
    ]


FRAMES = {
    "close": (b"\x88\x05\x03\xe8bye", {"close_code": 1000, "close_reason": "bye"}),
    "empty_close": (b"\x88\x00", {"close_code": 1005, "close_reason": ""}),
    "bad_close": (
        b"\x88\x01x",
        {
            "violation": {
                "message": "close frame has 1 byte of payload; it has none or a code of 2 bytes",
                "section": "RFC 6455 section 5.5.1",
                "code": 1002,
            }
        },
    ),
    "ping": (b"\x89\x01?", {}),
    "binary": (b"\x82\x01?", {}),
    "compressed": (COMPRESSED, {"inflated_length": 5, "inflated": b"Hello".hex(), "text": "Hello"}),
}


@pytest.mark.parametrize(("data", "expected"), FRAMES.values(), ids=FRAMES)
def test_json_of_frames(data: bytes, expected: dict[str, Any], dissect: Dissect) -> None:
    """What there is beyond the fields of all frames."""
    usual = 14
    (record,) = objects(dissect(data, "--json", "--deflate")[1])
    assert dict(list(record.items())[usual:]) == expected


def test_json_of_a_capture(dissect: Dissect) -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.from_client(offering(DEFLATE)), talk.from_server(accepting(DEFLATE))]
    code, output, _ = dissect(pcap(packets), "--json")
    request, response = objects(output)
    assert code == 0
    assert {name: request[name] for name in ("connection", "client", "server", "target", "host", "origin")} == {
        "connection": 1,
        "client": ["10.0.0.1", 50000],
        "server": ["10.0.0.2", 80],
        "target": "/chat",
        "host": "server.example.com",
        "origin": "http://example.com",
    }
    assert request["extensions"] == response["extensions"] == [{"name": "permessage-deflate", "parameters": {}}]
    assert ["upgrade", "websocket"] in request["headers"]
    assert (response["status"], response["time"]) == (101, 1.003)


def test_json_of_a_bad_request(dissect: Dissect) -> None:
    code, output, _ = dissect(UPGRADE.replace(b"Host", b"X-Host"), "--json")
    (record,) = objects(output)
    assert (code, record["violation"]["message"]) == (1, "request is not HTTP: Missing mandatory Host: header")
    assert "target" not in record


# ---- captures ----


def records_of(packets: list[bytes], **options: Any) -> list[Located]:
    """Give all records of a capture."""
    settings = OPTIONS._replace(**options)
    return list(read_records(io.BufferedReader(io.BytesIO(pcap(packets))), settings))


def one_talk(client_port: int, *, tail: bytes = b"", start: int = 1000) -> list[bytes]:
    """Give a connection with a handshake, a message each way, and more from the server."""
    talk = Talk(client=("10.0.0.1", client_port), client_start=start)
    return [
        *talk.opening(),
        talk.from_client(UPGRADE),
        talk.from_server(RESPONSE),
        talk.from_client(HELLO, len(UPGRADE)),
        talk.from_server(ANSWER + tail, len(RESPONSE)),
    ]


def test_connections_are_told_apart() -> None:
    packets = [packet for both in zip(one_talk(1), one_talk(2)) for packet in both]
    located = records_of(packets)
    assert [item.connection for item in located] == [1, 2] * 4
    assert {item.client for item in located} == {("10.0.0.1", 1), ("10.0.0.1", 2)}


def test_one_port() -> None:
    assert [item.client for item in records_of(one_talk(1) + one_talk(2), port=2)] == [("10.0.0.1", 2)] * 4
    assert len(records_of(one_talk(1) + one_talk(2), port=80)) == 8


@pytest.mark.parametrize("upgrade", [UPGRADE, UPGRADE.replace(b"Upgrade: websocket", b"upgrade:WebSocket")])
def test_upgrade_after_other_requests(upgrade: bytes) -> None:
    """A client may use a connection that it has open."""
    talk = Talk()
    page, reply = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    sizes = len(page) * 2, len(reply) * 2
    located = records_of(
        [
            *talk.opening(),
            talk.from_client(page),
            talk.from_server(reply),
            talk.from_client(page, len(page)),
            talk.from_server(reply, len(reply)),
            talk.from_client(upgrade, sizes[0]),
            talk.from_server(RESPONSE, sizes[1]),
            talk.from_server(ANSWER, sizes[1] + len(RESPONSE)),
            talk.from_client(HELLO, sizes[0] + len(upgrade)),
        ]
    )
    assert [type(item.record).__name__ for item in located] == ["SeenRequest", "SeenResponse", *["JudgedFrame"] * 2]
    assert {(item.client, item.connection) for item in located} == {(talk.client, 1)}


def test_port_used_again() -> None:
    """The first connection's end is told before the second begins."""
    located = records_of(one_talk(1, tail=b"\x81") + one_talk(1, start=9000))
    assert [item.connection for item in located] == [1, 1, 1, 1, 1, 2, 2, 2, 2]
    assert "header" in str(located[4].record)


def test_too_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """That which was silent for longest ends."""
    monkeypatch.setattr(tcp_module, "MAX_CONNECTIONS", 1)
    located = records_of(one_talk(1, tail=b"\x81") + one_talk(2))
    assert [item.connection for item in located] == [1, 1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("data", [HELLO, ANSWER], ids=["client", "server"])
def test_capture_from_the_middle(data: bytes) -> None:
    """Whose frames are masked is the client."""
    (item,) = records_of([tcp(data)])
    expected = ("10.0.0.1", 50000) if data == HELLO else ("10.0.0.2", 80)
    assert item.client == expected
    assert {item.client, item.server} == {("10.0.0.1", 50000), ("10.0.0.2", 80)}


def test_connection_without_data() -> None:
    (item,) = records_of(Talk().opening())
    assert "capture has no WebSocket connection" in str(item.record)


def test_tls_and_others() -> None:
    talk, other = Talk(), Talk(client=("10.0.0.1", 7))
    tls = [*talk.opening(), talk.from_client(b"\x16\x03\x01\x02"), talk.from_client(b"more", 4)]
    ssh = [*other.opening(), other.from_client(b"SSH-2.0-x")]
    (item,) = records_of([*tls, *ssh, b"no packet"])
    message = "capture has no WebSocket connection, or not the beginning of one"
    assert item.record.message == f"{message}; TLS, which can't be read, is in 1 connections"


@pytest.mark.parametrize("size", [1, 50_000], ids=["at_the_end", "when_too_much_waits"])
def test_lost_segments(size: int) -> None:
    talk = Talk()
    far = [talk.from_server(bytes(size), 10_000 + at * size) for at in range(1 if size == 1 else 30)]
    *_, last = records_of(one_talk(50000) + far)
    lacking = 10_000 - len(RESPONSE) - len(ANSWER)
    assert last.record.message == (f"capture lacks {lacking} bytes: what follows can't be told apart")


def test_lost_beginning() -> None:
    """It may have been anything."""
    talk = Talk()
    far = [talk.from_client(bytes(50_000), 10 + at * 50_000) for at in range(30)]
    (item,) = records_of([*talk.opening(), *far])
    assert "capture has no WebSocket connection" in str(item.record)


# ---- tables ----


def table(data: bytes, *, width: int = 100, **options: Any) -> str:
    """Give what a table shows of some bytes."""
    output = io.StringIO()
    tables = TableOutput(Console(file=output, width=width, highlight=False))
    settings = OPTIONS._replace(**options)
    for located in read_records(io.BufferedReader(io.BytesIO(data)), settings):
        tables.show(located)
    tables.flush()
    return output.getvalue()


def rows(text: str) -> list[str]:
    """Give the lines without the spaces that make columns."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip("-")]


def test_table() -> None:
    talk = Talk()
    compressed = b"\xc1\x87\0\0\0\0" + COMPRESSED[2:]
    response = accepting(DEFLATE).replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
    packets = [
        *talk.opening(),
        talk.from_client(offering(DEFLATE) + compressed),
        talk.from_server(response + b"\x82\x02\x00\xff\x89\x01?\x89\x01\x00\x88\x05\x03\xe8bye\x81\x00"),
        talk.from_client(b"\x8b\x80\0\0\0\0\x82\x85", len(offering(DEFLATE) + compressed)),
    ]
    assert rows(table(pcap(packets), width=120)) == [
        "connection 1: 10.0.0.1 port 50000 -> 10.0.0.2 port 80",
        "request /chat, host server.example.com, origin http://example.com, subprotocols chat, superchat, extensions "
        "permessage-deflate",
        "response 101, subprotocol chat, extensions permessage-deflate",
        "# seconds from frame bits length inflated key payload",
        '1 0.000000 client text FIN RSV1 7 5 00000000 "Hello"',
        "2 0.000000 server binary FIN 2 00ff",
        '3 0.000000 server ping FIN 1 "?"',
        "4 0.000000 server ping FIN 1 00",
        '5 0.000000 server close FIN 5 1000 "bye"',
        '6 0.000000 server text FIN 0 ""',
        "violation of RFC 6455 section 5.5.1: text frame after a close frame (close code 1002)",
        '7 0.001000 client 0xb FIN 0 00000000 ""',
        "violation of RFC 6455 section 5.2: opcode 0xb is unknown (close code 1002)",
        "note on the client: input ends with 2 bytes of a frame's header",
    ]


def test_table_of_what_is_cut() -> None:
    text = table(b"\x81\x1e" + "ä".encode() * 15 + b"\x82\x1e" + bytes(30) + b"\x88\x00\x88\x03\x03")
    assert rows(text) == [
        "# from frame bits length inflated key payload",
        '1 server text FIN 30 "ääääääääää"...',
        "2 server binary FIN 30 00000000 00000000 00000000",
        "00000000 00000000...",
        "3 server close FIN 0 1005",
        "4 server close FIN 3 03... (input ends here)",
    ]


@pytest.mark.parametrize("payload", [0, 64])
def test_close_is_shown_whole(payload: int) -> None:
    """However little of a payload is to be shown: its code is what the reader looks for."""
    text = table(b"\x88\x7d\x0f\xa0" + b"x" * 123, width=250, preview=payload)
    assert f'4000 "{"x" * 123}"' in text


def test_what_is_said_of_the_rest_is_not_torn() -> None:
    """It is kept whole, on a line of its own if need be; groups of 4 bytes begin with the first."""
    lines = table(b"\x82\x28" + bytes(40) + b"\x82\x1e" + bytes(18)).splitlines()
    assert [line.split("  ")[-1].strip() for line in lines[2:]] == [
        "00000000 00000000 00000000",
        "00000000 00000000...",
        "00000000 00000000 00000000",
        "00000000 0000",
        "... (input ends here)",
    ]


def test_nothing_of_a_peer_reaches_the_terminal_as_it_is() -> None:
    """No escape sequence, no markup, nothing that turns text around."""
    payload = "\x1b[2J[bold]\u202e\n".encode()
    text = table(
        UPGRADE.replace(b"chat, superchat", b"a, b") + b"\x81" + bytes([0x80 | len(payload)]) + bytes(4) + payload
    )
    assert '"\\x1b[2J[bold]\\u202e\\n"' in text
    assert "\x1b" not in text


def test_table_of_a_bad_request() -> None:
    assert rows(table(b"GET / HTTP/1.0\r\n\r\n")) == [
        "request",
        "violation of RFC 6455 section 4.1: request is HTTP/1.0; it has to be HTTP/1.1 (close code 1002)",
    ]


def test_wide_characters() -> None:
    text = "世界" * 12
    lines = table(b"\x81\x48" + text.encode(), width=100, preview=100).splitlines()
    parts = [line.split()[-1] for line in lines[2:]]
    assert "".join(parts) == f'"{text}"'
    assert [cell_len(line) for line in lines[2:]] == [100, 100 - 29 + 21]


def test_request_without_much() -> None:
    head = UPGRADE.replace(b"Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n", b"")
    assert rows(table(head)) == ["request /chat, host server.example.com"]


def test_long_tables() -> None:
    """They are written in parts."""
    output = io.StringIO()
    tables = TableOutput(Console(file=output, width=100))
    (located,) = read_records(io.BufferedReader(io.BytesIO(b"\x89\x00")), OPTIONS)
    for _ in range(_cli_table.BATCH - 3):
        tables.show(located)
    assert output.getvalue() == ""
    tables.show(located)
    assert len(output.getvalue().splitlines()) == _cli_table.BATCH


def test_table_is_aligned() -> None:
    lines = table(b"\x89\x00" * 5).splitlines()
    assert {line.index("ping") for line in lines[2:]} == {lines[0].index("frame")}
    lines = rows("\n".join(lines))
    assert lines == [
        "# from frame bits length inflated key payload",
        *(f'{n} server ping FIN 0 ""' for n in range(1, 6)),
    ]


@pytest.mark.parametrize("columns", [None, "90"])
def test_width_where_nobody_looks(columns: str | None, dissect: Dissect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    _, output, _ = dissect(b"\x81\x7d" + b"x" * 125 + b"\x82\x7d" + bytes(125), "--payload", "125")
    width = int(columns or _cli_table.PIPED_WIDTH)
    lines = [len(line) for line in output.splitlines() if "x" in line or "00000000" in line]
    assert max(lines) == width
    assert len(lines) > 2


@pytest.mark.parametrize(("width", "below"), [(80, True), (84, True), (85, False)])
def test_narrow_table(width: int, below: bool) -> None:
    """A payload that has no room at the end of its line has one of its own."""
    talk = Talk()
    packets = [talk.from_server(b"\x82\x01\xff"), talk.from_server(b"\x81\x08No space", 3)]
    lines = table(pcap(packets), width=width).splitlines()
    assert all(len(line) <= width for line in lines[2:])
    assert ('        "No space"' in lines) == below


# ---- what is missing, and what is in the way ----


def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no rich."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "rich":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "wsproto_lite._cli_table", raising=False)
    monkeypatch.delattr("wsproto_lite._cli_table", raising=False)


def test_without_rich(dissect: Dissect, monkeypatch: pytest.MonkeyPatch) -> None:
    without_rich(monkeypatch)
    message = (
        "wsproto-lite: tables need rich: python -m pip install 'wsproto_lite[cli]' installs it; --json does without\n"
    )
    assert dissect(HELLO) == (2, "", message)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert dissect(HELLO, "--json")[0] == 0


@pytest.mark.parametrize("stderr_is_terminal", [True, False])
def test_progress(stderr_is_terminal: bool, dissect: Dissect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for those who look."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: stderr_is_terminal)
    code, output, error = dissect(b"\x89\x00" * 1000, "--json")
    assert (code, len(output.splitlines())) == (0, 1000)
    assert ("dissecting" in error) == stderr_is_terminal


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[str]:
    """Give a named pipe that somebody writes a frame to."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_bytes, args=[HELLO])
    thread.start()
    yield str(path)
    thread.join()


def test_pipe(fifo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dissect", fifo, "--json"]) == 0
    assert objects(capsys.readouterr().out)[0]["text"] == "Hello"


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input"
    path.write_bytes(HELLO)
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert main(["dissect", "--json"]) == 0
    assert objects(capsys.readouterr().out)[0]["text"] == "Hello"


def run_process(*arguments: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does."""
    command = [sys.executable, "-W", "error", "-m", "wsproto_lite", "dissect", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=3 * PATIENCE, check=False)


def test_process() -> None:
    done = run_process(data=b"81 05 48656c6c6f # Hello\n83 00\n")
    assert done.returncode == 1
    assert b'"Hello"' in done.stdout
    assert b"violation of RFC 6455 section 5.2: opcode 0x3 is unknown (close code 1002)" in done.stdout
    assert done.stderr == b""


def test_process_with_a_capture() -> None:
    done = run_process("--json", "-", data=(CAPTURES / "unmasked-websockets.pcap").read_bytes())
    assert done.returncode == 1
    assert [line["type"] for line in map(json.loads, done.stdout.splitlines())][:3] == ["request", "response", "frame"]


def test_frames_as_they_come() -> None:
    """A pipe's are shown before it ends."""
    command = [sys.executable, "-m", "wsproto_lite", "dissect", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(2):
            process.stdin.write(HELLO)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == "Hello"
        process.stdin.close()
        assert process.wait(60) == 0


def test_reader_that_has_seen_enough() -> None:
    """As `head` has: no traceback, and an exit code of a broken pipe."""
    command = [sys.executable, "-W", "error", "-m", "wsproto_lite", "dissect", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.write(HELLO * 1000)
        process.stdin.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 141
