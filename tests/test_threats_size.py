"""What has gone wrong in WebSocket libraries, and holds here: how much a peer can make us hold. One class a row."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
import slow_codec
from helpers import (
    KEY,
    LIMITS_OFF,
    MIB,
    RSV1,
    both_roles,
    byte_by_byte,
    connect,
    deflating,
    feed,
    frame,
    handshake,
    header,
    only_code,
    ping,
    text,
)
from memory import kept_memory, peak_memory
from slow_codec import BINARY, CONTINUATION, FIN, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    PerMessageDeflate,
    Role,
    Settings,
    TextMessage,
)


class TestDecompressionBomb:
    """websockets CVE-2018-1000518, undici CVE-2026-1526: inflation is bounded by what is left of the message."""

    @both_roles
    @pytest.mark.parametrize("limit", [MIB, 8 * MIB], ids=["1 MiB", "8 MiB"])
    @pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no takeover"])
    def test_peak_memory(self, role: Role, limit: int, takeover: bool) -> None:
        """A buffer that grows has an eighth to spare."""
        config = {"server_no_context_takeover": not takeover, "client_no_context_takeover": not takeover}
        extensions = (PerMessageDeflate(**config),)
        own = Settings(extensions=extensions, max_message_size=limit)
        others = Settings(extensions=extensions, **LIMITS_OFF)
        client, server = handshake(own, others) if role is CLIENT else handshake(others, own)
        conn, peer = (client, server) if role is CLIENT else (server, client)
        bomb = peer.send(BytesMessage(bytes(64 * MIB)))
        assert len(bomb) < MIB // 8
        codes = []
        assert peak_memory(lambda: codes.append(only_code(feed(conn, bomb)))) < limit * 9 // 8 + MIB // 2
        assert codes == [1009]

    @both_roles
    def test_fragmented_bomb(self, role: Role) -> None:
        """The budget is the message's, not each frame's."""
        conn, peer = deflating(role, max_message_size=MIB)
        codes = []
        parts = [peer.send(BytesMessage(bytes(MIB // 2), message_finished=False)) for _ in range(8)]
        assert peak_memory(lambda: codes.append(only_code(feed(conn, *parts)))) < 3 * MIB
        assert codes == [1009]

    @pytest.mark.parametrize("excess", [0, 1, 2])
    @both_roles
    def test_limit_is_exact_and_nothing_is_cut_short(self, role: Role, excess: int) -> None:
        """python-websockets 1715 truncated silently; here the limit passes, and one or two more do not."""
        payload = os.urandom(1000) * 10
        for count in (1, 7):
            conn, peer = deflating(role, max_message_size=10_000)
            whole = payload + bytes(excess)
            size = -(-len(whole) // count)
            parts = [whole[at : at + size] for at in range(0, len(whole), size)]
            data = b"".join(peer.send(BytesMessage(part, True, part is parts[-1])) for part in parts)
            events = feed(conn, data)
            assert events == [BytesMessage(payload)] if not excess else only_code(events) == 1009

    @both_roles
    def test_bomb_that_gives_nothing(self, role: Role) -> None:
        """Empty output from endless input is bounded by the wire total: limit + limit/8 + 1 KiB."""
        conn, _ = deflating(role, max_message_size=1000)
        empty_blocks = b"\x00\x00\x00\xff\xff" * 100
        first, codes, sent = RSV1 | BINARY, [], 0
        while not codes:
            codes += [event.code for event in feed(conn, frame(role, first, empty_blocks))]
            first, sent = CONTINUATION, sent + len(empty_blocks)
        assert codes == [1009]
        assert sent <= 1000 + 125 + 1024 + len(empty_blocks)

    @both_roles
    @pytest.mark.parametrize("delivery", ["message", "frame", "piece"])
    def test_many_bombs_in_one_read(self, role: Role, delivery: Any) -> None:
        """62 messages of 1 KB that inflate to 1 MiB each fit one read: one call returns a bounded amount."""
        conn, peer = deflating(role, delivery=delivery)
        data = b"".join(peer.send(BytesMessage(bytes(MIB))) for _ in range(60))
        assert len(data) < 65536
        inflated = []

        def read() -> None:
            chunk = data
            while chunk or conn.has_pending:
                inflated.append(sum(len(event.data) for event in conn.receive_data(chunk)))
                chunk = b""

        assert peak_memory(read) < 3 * MIB
        assert sum(inflated) == 60 * MIB
        assert max(inflated) <= MIB + 65536

    @both_roles
    def test_bomb_without_limit_in_pieces(self, role: Role) -> None:
        """One call returns a bounded amount of a single message, too."""
        conn, peer = deflating(role, delivery="piece", **LIMITS_OFF)
        chunk = peer.send(BytesMessage(bytes(64 * MIB)))
        inflated = []

        def read() -> None:
            inflated.append(sum(len(event.data) for event in conn.receive_data(chunk)))
            while conn.has_pending:
                inflated.append(sum(len(event.data) for event in conn.receive_data(b"")))

        assert peak_memory(read) < 3 * MIB
        assert sum(inflated) == 64 * MIB
        assert max(inflated) <= MIB + 65536

    @both_roles
    def test_text_bomb_of_invalid_text(self, role: Role) -> None:
        """UTF-8 is checked as it inflates."""
        conn, peer = deflating(role)
        data = peer.send(BytesMessage(b"a" * 1000 + b"\xff" + b"a" * 100_000))
        assert only_code(feed(conn, bytes([data[0] ^ BINARY ^ TEXT]) + data[1:])) == 1007


class TestLength64Bit:
    """gorilla CVE-2020-27813, Tomcat CVE-2020-13935: refuse the top bit, never compute position + length."""

    @both_roles
    @pytest.mark.parametrize("length", [2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_declared(self, role: Role, length: int, opcode: int) -> None:
        for conn, code in ((connect(role), 1009), (connect(role, **LIMITS_OFF), None)):
            events = feed(conn, header(role, FIN | opcode, length, 8))
            if length >= 2**63:
                assert only_code(events) == 1002
            elif code:
                assert only_code(events) == code
            else:
                assert events == feed(conn, slow_codec.mask(b"a" * 1000, KEY) if role is SERVER else b"a" * 1000) == []

    @both_roles
    @pytest.mark.parametrize("limits", [{}, LIMITS_OFF], ids=["limits", "no limits"])
    def test_sum_over_fragments(self, role: Role, limits: dict[str, Any]) -> None:
        """A first fragment, then one whose length would wrap the total around."""
        conn = connect(role, **limits)
        feed(conn, frame(role, BINARY, bytes(100)))
        events = feed(conn, header(role, FIN | CONTINUATION, 2**63 - 1, 8) + bytes(50))
        assert events == [] if limits else only_code(events) == 1009


class TestAllocationFromDeclaredLength:
    """rust-websocket CVE-2022-35922: memory grows with received bytes only."""

    @both_roles
    @pytest.mark.parametrize("first", [FIN | BINARY, FIN | TEXT, BINARY])
    @pytest.mark.parametrize("received", [0, 1, 1000])
    def test_claim_of_an_exbibyte(self, role: Role, first: int, received: int) -> None:
        for chunks in ([b"a" * received], byte_by_byte(b"a" * received)):
            conn = connect(role, **LIMITS_OFF)
            feed(conn, text(role, "x"))  # now there are the buffers that all connections share
            assert (
                peak_memory(lambda conn=conn, chunks=chunks: feed(conn, header(role, first, 2**60), *chunks)) < 50_000
            )

    @both_roles
    @pytest.mark.parametrize("first", [FIN | BINARY, BINARY], ids=["whole", "fragment"])
    @pytest.mark.parametrize(("chunk", "most"), [(1000, 250_000), (100_000, 3_000_000)])
    def test_claim_just_under_the_limit(self, role: Role, chunk: int, most: int, first: int) -> None:
        """Chunks of more than 64 KiB go straight into the message."""
        conn = connect(role, max_message_size=64 * MIB)
        claim = header(role, first, 64 * MIB)
        assert peak_memory(lambda: feed(conn, claim, *[b"x" * chunk] * 10)) < most


class TestLimitAppliedAfterBuffering:
    """aiohttp CVE-2026-54274 and its follow-up: one-byte reads pinned 28 times the payload."""

    @both_roles
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("cut", [1, 7, 1000])
    def test_dribbled_frame(self, role: Role, opcode: int, cut: int) -> None:
        size = 1 << 16
        conn = connect(role)
        data = frame(role, FIN | opcode, b"x" * size)
        chunks = [data[at : at + cut] for at in range(0, len(data), cut)]
        feed(conn, text(role, "x"))

        def read() -> None:
            for chunk in chunks:
                conn.receive_data(chunk)

        assert peak_memory(read) <= 2 * size + 10_000

    @both_roles
    def test_dribbled_frame_of_a_mebibyte(self, role: Role) -> None:
        conn = connect(role)
        feed(conn, header(role, FIN | BINARY, MIB))
        chunk = bytes(4096)

        def read() -> None:
            for _ in range(MIB // len(chunk)):
                conn.receive_data(chunk)

        assert peak_memory(read) <= 2 * MIB

    @both_roles
    @pytest.mark.parametrize(("letter", "limit"), [("\xe9", 2.5), ("\u20ac", 2.5), ("\U0001d11e", 3.5)], ids=ascii)
    @pytest.mark.parametrize("cut", [5000, 2 * MIB], ids=["dribbled", "in one read"])
    def test_text_that_is_not_ascii(self, role: Role, letter: str, limit: float, cut: int) -> None:
        """A decoder alone would take up to five times the text, besides the text. `limit`: in mebibytes, where Python
        copies a text to append to it, as it does while coverage is measured.
        """
        content = letter * (MIB // len(letter.encode()))
        conn = connect(role)
        feed(conn, text(role, "x"))
        data = frame(role, FIN | TEXT, content.encode())
        chunks = [data[at : at + cut] for at in range(0, len(data), cut)]
        events = []

        def read() -> None:
            for chunk in chunks:
                events.extend(conn.receive_data(chunk))

        assert peak_memory(read) <= limit * MIB
        assert events == [TextMessage(content)]


class TestLimitsSkippedOnOnePath:
    """undici 4899: one accounting for plain and compressed, whole and fragmented."""

    @both_roles
    @pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
    @pytest.mark.parametrize("fragments", [1, 2, 5])
    @pytest.mark.parametrize("delivery", ["message", "frame", "piece"])
    @pytest.mark.parametrize("off", [-1, 0, 1])
    def test_matrix(self, role: Role, compress: bool, fragments: int, delivery: Any, off: int) -> None:
        limit = 1000
        for kind in (BytesMessage, TextMessage):
            conn, peer = deflating(role, max_message_size=limit, delivery=delivery)
            whole: Any = (b"x" if kind is BytesMessage else "x") * (limit + off)
            size = -(-len(whole) // fragments)
            parts = [whole[at : at + size] for at in range(0, len(whole), size)]
            data = b"".join(
                peer.send(kind(part, True, at == len(parts) - 1), compress=None if at else compress)
                for at, part in enumerate(parts)
            )
            events = feed(conn, data)
            if off > 0:
                assert only_code(events[-1:]) == 1009
            else:
                assert whole[:0].join(event.data for event in events) == whole

    @both_roles
    def test_frames(self, role: Role) -> None:
        for size, first in itertools.product((99, 100, 101), (FIN | BINARY, BINARY, FIN | RSV1 | BINARY)):
            conn, _ = deflating(role, max_frame_size=100)
            events = feed(conn, header(role, first, size))
            assert only_code(events) == 1009 if size > 100 else events == []


class TestTinyFragments:
    """ws CVE-2026-48779, Bandit CVE-2026-42786; websockets' sans-IO core takes 200,000 empty ones."""

    @both_roles
    @pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one byte"])
    @pytest.mark.parametrize("compressed", [0, RSV1], ids=["plain", "compressed"])
    def test_cap(self, role: Role, payload: bytes, compressed: int) -> None:
        for count in (20, 21):
            conn, _ = deflating(role, max_fragments=20)
            body = b"\x00\x00\x00\xff\xff" if compressed else payload
            data = frame(role, compressed | BINARY, body) + frame(role, CONTINUATION, body) * (count - 1)
            events = feed(conn, data)
            assert events == [] if count == 20 else only_code(events) == 1009

    @both_roles
    @pytest.mark.parametrize(
        ("limits", "cap"),
        [({}, 4096), ({"max_message_size": 1000}, 1024), ({"max_message_size": None}, 65536)],
        ids=["default", "small messages", "no limit"],
    )
    def test_default_cap(self, role: Role, limits: dict[str, Any], cap: int) -> None:
        for count in (cap, cap + 1):
            conn = connect(role, **limits)
            events = feed(conn, frame(role, BINARY) + frame(role, CONTINUATION) * (count - 1))
            assert events == [] if count == cap else only_code(events) == 1009

    @both_roles
    @pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one byte"])
    def test_memory_per_fragment(self, role: Role, payload: bytes) -> None:
        """What is kept is coalesced: no object for each fragment."""
        conn = connect(role, max_fragments=100_000)
        chunk = frame(role, CONTINUATION, payload)
        feed(conn, frame(role, BINARY))

        def read() -> None:
            for _ in range(20_000):
                conn.receive_data(chunk)

        assert kept_memory(read) < 2 * 20_000


class TestOutgoingGrowth:
    """ws-rs CVE-2020-35896, aiohttp 1367: what the connection queues by itself is bounded, and its size can be read."""

    @both_roles
    def test_peer_that_never_reads(self, role: Role) -> None:
        conn = connect(role)
        most = 16 * (2 + 125 + 4)
        for number in range(1000):
            feed(conn, ping(role, b"%d" % number + bytes(100)))
            assert conn.output_size <= most
        size = conn.output_size
        assert size == len(conn.data_to_send()) >= 16 * (2 + 100)
        assert conn.output_size == 0
        feed(conn, ping(role, bytes(125)) * 20 + frame(role, 0xFF))
        assert conn.output_size == len(conn.data_to_send()) <= most + 131
