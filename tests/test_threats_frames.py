"""What has gone wrong in WebSocket libraries, and holds here: frames that must be refused. One class a row."""

from __future__ import annotations

from typing import Any

import pytest
import slow_codec
from helpers import (
    KEY,
    MIB,
    OTHER,
    RSV1,
    all_cuts,
    both_roles,
    byte_by_byte,
    close,
    connect,
    deflating,
    feed,
    frame,
    frames_from,
    header,
    messages,
    only_code,
    ping,
)
from memory import kept_memory
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT

from wsproto_lite import (
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    LocalProtocolError,
    Role,
    Settings,
    State,
    TextMessage,
)


class TestNonMinimalLength:
    """websockets accepts it. Section 5.2: the minimal number of bytes must be used."""

    @both_roles
    @pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
    @pytest.mark.parametrize("extended", [0, 2, 8])
    @pytest.mark.parametrize("first", [FIN | BINARY, FIN | TEXT, TEXT])
    def test_every_form(self, role: Role, length: int, extended: int, first: int) -> None:
        if length > {0: 125, 2: 65535, 8: 2**63}[extended]:
            return
        minimal = 0 if length <= 125 else 2 if length <= 65535 else 8
        conn = connect(role)
        events = feed(conn, header(role, first, length, extended)[: 2 + extended])
        if extended != minimal:
            assert only_code(events) == 1002
        else:
            assert not any(isinstance(event, CloseConnection) for event in events)


class TestControlFrameFlood:
    """websockets queues 200,000 Pongs for 200,000 Pings: here 16 at most, in order, the newest always answered."""

    @both_roles
    def test_flood_inside_a_message(self, role: Role) -> None:
        conn = connect(role)
        flood = b"".join(ping(role, b"%d" % number) for number in range(5000))
        events = feed(conn, frame(role, TEXT, b"a") + flood + frame(role, FIN | CONTINUATION, b"b"))
        assert len(events) == 5001
        assert events[-1] == TextMessage("ab")
        assert [payload for _, payload in frames_from(role, conn.data_to_send())] == [
            b"%d" % n for n in range(4984, 5000)
        ]

    @both_roles
    def test_ten_pings_get_ten_pongs(self, role: Role) -> None:
        conn = connect(role)
        assert len(feed(conn, b"".join(ping(role, b"%d" % number) for number in range(10)))) == 10
        assert frames_from(role, conn.data_to_send()) == [(FIN | PONG, b"%d" % number) for number in range(10)]

    @both_roles
    def test_memory(self, role: Role) -> None:
        conn = connect(role)
        chunk = ping(role, bytes(125))

        def read() -> None:
            for _ in range(5000):
                conn.receive_data(chunk)

        assert kept_memory(read) < 16 * 300


class TestOversizedControlFrame:
    """websockets reads all of it first: here the header alone is refused."""

    @both_roles
    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    @pytest.mark.parametrize("length", [126, 65536, MIB])
    def test_header(self, role: Role, opcode: int, length: int) -> None:
        assert only_code(feed(connect(role), header(role, FIN | opcode, length)[:2])) == 1002


class TestMaskDirection:
    """aiohttp takes unmasked client frames, picows did. Section 5.1: fail on the header, deliver nothing."""

    @both_roles
    @pytest.mark.parametrize("first", [FIN | TEXT, BINARY, FIN | PING, FIN | CLOSE])
    def test_wrong(self, role: Role, first: int) -> None:
        wrong = frame(OTHER[role], first, b"\x03\xe8")
        conn = connect(role)
        assert conn.receive_data(wrong[:1]) == []
        assert only_code(conn.receive_data(wrong[1:2])) == 1002
        assert only_code(feed(connect(role), wrong)) == 1002


INVALID_TEXT = {
    "lone continuation": b"\x80",
    "overlong of 2": b"\xc0\x80",
    "overlong of 2, second": b"\xc1\xbf",
    "overlong of 3": b"\xe0\x9f\xbf",
    "overlong of 4": b"\xf0\x8f\xbf\xbf",
    "surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "beyond the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "no continuation of 2": b"\xc3a",
    "no continuation of 3": b"\xe2\x82a",
    "no continuation of 4": b"\xf0\x9f\x98a",
    "beyond the last lead": b"\xf5\x80\x80\x80",
    "ff": b"\xff",
}


class TestUtf8:
    """websockets' sans-IO core leaves it out, aiohttp checks after assembly: here the earliest byte decides."""

    @both_roles
    @pytest.mark.parametrize("invalid", INVALID_TEXT.values(), ids=INVALID_TEXT)
    @pytest.mark.parametrize("prefix", ["", "x", "κόσμε😀", "a" * 40])
    def test_earliest_byte(self, role: Role, invalid: bytes, prefix: str) -> None:
        payload = prefix.encode() + invalid
        decides = slow_codec.utf8(payload)[0]
        assert decides is not None
        conn = connect(role)
        data = header(role, FIN | TEXT, 1000)
        feed(conn, data)
        for index, byte in enumerate(byte_by_byte(self.masked(role, payload))):
            assert conn.state is State.OPEN
            events = conn.receive_data(byte)
            assert events == [] if index < decides else only_code(events) == 1007
            if index == decides:
                return

    @both_roles
    @pytest.mark.parametrize("invalid", INVALID_TEXT.values(), ids=INVALID_TEXT)
    def test_across_fragments(self, role: Role, invalid: bytes) -> None:
        payload = b"a" + invalid + b"b"
        for at in range(len(payload) + 1):
            data = messages(role, [payload[:at], b"", payload[at:]], TEXT)
            for chunks in all_cuts(data):
                assert only_code(feed(connect(role), *chunks)) == 1007

    @both_roles
    @pytest.mark.parametrize("whole", ["ü", "€", "😀"])
    def test_text_that_breaks_off(self, role: Role, whole: str) -> None:
        """Every prefix, at the end of a whole message and of its last fragment."""
        for size in range(1, len(whole.encode())):
            prefix = whole.encode()[:size]
            assert only_code(feed(connect(role), frame(role, FIN | TEXT, prefix))) == 1007
            assert only_code(feed(connect(role), messages(role, [prefix, b""], TEXT))) == 1007
            assert feed(connect(role), frame(role, TEXT, prefix)) == []

    @both_roles
    @pytest.mark.parametrize("invalid", INVALID_TEXT.values(), ids=INVALID_TEXT)
    def test_every_prefix(self, role: Role, invalid: bytes) -> None:
        """Where the text ends after any byte of the sequence, whole and in fragments that end at each byte."""
        for size in range(1, len(invalid) + 1):
            prefix = b"a" + invalid[:size]
            for at in range(len(prefix) + 1):
                data = messages(role, [prefix[:at], prefix[at:]], TEXT)
                for chunks in ([data], byte_by_byte(data)):
                    assert only_code(feed(connect(role), *chunks)) == 1007

    @both_roles
    @pytest.mark.parametrize("delivery", ["message", "frame", "piece"])
    @pytest.mark.parametrize("invalid", INVALID_TEXT.values(), ids=INVALID_TEXT)
    def test_after_inflation(self, role: Role, invalid: bytes, delivery: Any) -> None:
        """The last prefix is the sequence itself; fragments in one read become one piece, byte by byte they don't."""
        for size in range(1, len(invalid) + 1):
            payload = b"a" + invalid[:size]
            for parts in ([payload], *([payload[:at], payload[at:]] for at in range(1, len(payload)))):
                for cut in (lambda data: [data], byte_by_byte):
                    conn, peer = deflating(role, delivery=delivery)
                    frames = [
                        peer.send(BytesMessage(part, True, at == len(parts) - 1)) for at, part in enumerate(parts)
                    ]
                    data = b"".join(frames)
                    assert data[0] & 0x7F == RSV1 | BINARY
                    events = feed(conn, *cut(bytes([data[0] ^ BINARY ^ TEXT]) + data[1:]))
                    assert only_code(events[-1:]) == 1007
                    assert "".join(event.data for event in events[:-1]) in ("", "a")

    @both_roles
    @pytest.mark.parametrize("invalid", INVALID_TEXT.values(), ids=INVALID_TEXT)
    def test_close_reasons(self, role: Role, invalid: bytes) -> None:
        for size in range(1, len(invalid) + 1):
            data = close(role, 1000, b"a" + invalid[:size])
            for chunks in ([data], byte_by_byte(data)):
                assert only_code(feed(connect(role), *chunks)) == 1007

    def masked(self, role: Role, payload: bytes) -> bytes:
        return slow_codec.mask(payload, KEY) if role is SERVER else payload


VALID_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


class TestCloseCodes:
    """wsproto sends 999 as is and 1006 as 1000, picows echoes invalid codes: here one table for both directions."""

    @both_roles
    def test_every_code_received(self, role: Role) -> None:
        """Section 7.4; Autobahn 7.7 and 7.9. A good code is echoed (section 5.5.1), no other goes back."""
        without_mask = Settings(random_bytes=bytes)
        at = 2 if role is SERVER else 6
        for code in range(65536):
            conn = Connection.established(role, without_mask)
            (event,) = conn.receive_data(close(role, code))
            assert isinstance(event, CloseConnection)
            answer = code if code in VALID_CODES else 1002
            assert (event.code, event.error is None) == (answer, code in VALID_CODES)
            output = conn.data_to_send()
            assert (output[0], output[at : at + 2]) == (FIN | CLOSE, answer.to_bytes(2, "big"))

    @both_roles
    def test_every_code_sent(self, role: Role) -> None:
        """As asked, or not at all; 1005 is an empty Close."""
        for code in (*range(65536), -1, 65536, 70000, 1 << 70):
            try:
                output = Connection.established(role).send(CloseConnection(code))
            except LocalProtocolError:
                assert code not in VALID_CODES
                assert code != 1005
            else:
                assert frames_from(role, output) == [(FIN | CLOSE, b"" if code == 1005 else code.to_bytes(2, "big"))]

    @both_roles
    def test_one_byte(self, role: Role) -> None:
        assert only_code(feed(connect(role), frame(role, FIN | CLOSE, b"\x03"))) == 1002
