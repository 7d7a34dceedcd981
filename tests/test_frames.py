"""Frame: read, written and validated alone, against RFC 6455 section 5 and the slow codec."""

from __future__ import annotations

import pickle
import re
from typing import Any, Callable

import pytest
import slow_codec
from hypothesis import given
from hypothesis import strategies as st

from wsproto_lite import CLIENT, SERVER, LocalProtocolError, Opcode, ProtocolError, RemoteProtocolError, Role
from wsproto_lite.frames import Frame

KEY = bytes.fromhex("37fa213d")
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70_000]
HUGE = [2**31 - 1, 2**31, 2**32, 2**63 - 1]


def refused(kind: type[ProtocolError], message: str) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def first_byte(frame: Frame) -> int:
    return frame.fin << 7 | frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4 | frame.opcode


def payload_of(size: int) -> bytes:
    return bytes(at * 7 & 0xFF for at in range(size))


# ---- to and from bytes ----

RFC_EXAMPLES = {
    "unmasked text": ("81 05 48 65 6c 6c 6f", Frame(b"Hello", Opcode.TEXT, amount_spec=5, amount=5)),
    "masked text": (
        "81 85 37 fa 21 3d 7f 9f 4d 51 58",
        Frame(b"Hello", Opcode.TEXT, KEY, amount_spec=5, amount=5),
    ),
    "first fragment": ("01 03 48 65 6c", Frame(b"Hel", Opcode.TEXT, fin=0, amount_spec=3, amount=3)),
    "last fragment": ("80 02 6c 6f", Frame(b"lo", Opcode.CONTINUATION, amount_spec=2, amount=2)),
    "ping": ("89 05 48 65 6c 6c 6f", Frame(b"Hello", Opcode.PING, amount_spec=5, amount=5)),
    "256 bytes": ("82 7e 01 00" + " 00" * 256, Frame(bytes(256), Opcode.BINARY, amount_spec=126, amount=256)),
}


@pytest.mark.parametrize(("wire", "frame"), RFC_EXAMPLES.values(), ids=RFC_EXAMPLES)
def test_the_examples_of_section_5_7(wire: str, frame: Frame) -> None:
    assert Frame.from_bytes(bytes.fromhex(wire)) == frame
    assert frame.to_bytes() == bytes.fromhex(wire)
    frame.validate()


def test_defaults() -> None:
    """A text message in one plain frame."""
    assert Frame(b"hi") == (b"hi", Opcode.TEXT, None, 1, 0, 0, 0, None, None)
    assert Frame(b"hi").to_bytes() == b"\x81\x02hi"


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "masked"])
@pytest.mark.parametrize("size", SIZES)
def test_every_form_of_length(size: int, key: bytes | None) -> None:
    wire = slow_codec.frame(0x82, payload_of(size), key)
    frame = Frame.from_bytes(wire)
    spec = size if size < 126 else 126 if size < 65536 else 127
    assert frame == (payload_of(size), 2, key, 1, 0, 0, 0, spec, size)
    assert frame.to_bytes() == wire


@pytest.mark.parametrize("first", range(256), ids="{:#04x}".format)
def test_every_first_byte(first: int) -> None:
    """What a frame is not allowed to be is for `validate` to say."""
    wire = slow_codec.frame(first, b"ab", KEY)
    frame = Frame.from_bytes(wire)
    assert first_byte(frame) == first
    assert frame.to_bytes() == wire


@given(first=st.integers(0, 255), payload=st.binary(max_size=300), key=st.none() | st.binary(min_size=4, max_size=4))
def test_there_and_back(first: int, payload: bytes, key: bytes | None) -> None:
    wire = slow_codec.frame(first, payload, key)
    frame = Frame.from_bytes(wire)
    assert (frame.payload, frame.mask, frame.amount) == (payload, key, len(payload))
    assert frame.to_bytes() == wire


def test_a_masked_frame_stays_masked_if_asked() -> None:
    wire = slow_codec.frame(0x81, b"Hello", KEY)
    frame = Frame.from_bytes(wire, unmask=False)
    assert (frame.payload, frame.mask) == (wire[6:], KEY)
    assert frame.masked_payload() == b"Hello"


@pytest.mark.parametrize("size", SIZES)
def test_masking_twice_undoes_it(size: int) -> None:
    masked = Frame(payload_of(size), mask=KEY).masked_payload()
    assert masked == slow_codec.mask(payload_of(size), KEY)
    assert Frame(masked, mask=KEY).masked_payload() == payload_of(size)


@pytest.mark.parametrize("kind", [bytearray, memoryview], ids=lambda kind: str(kind.__name__))
def test_any_buffer_will_do(kind: Callable[[bytes], Any]) -> None:
    wire = slow_codec.frame(0x81, b"Hello", KEY)
    assert Frame.from_bytes(kind(wire)) == Frame.from_bytes(wire)
    assert Frame(kind(b"Hello"), mask=kind(KEY)).to_bytes() == wire
    assert Frame(kind(b"Hello"), mask=kind(KEY)).masked_payload() == wire[6:]
    assert Frame(memoryview(b"H.e.l.l.o")[::2], mask=KEY).to_bytes() == wire  # type: ignore[arg-type]  # a buffer too


def test_from_bytes_keeps_nothing_of_its_input() -> None:
    data = bytearray(slow_codec.frame(0x82, b"some"))
    frame = Frame.from_bytes(data)
    data[:] = bytes(len(data))
    assert frame.payload == b"some"


def test_frames_are_tuples() -> None:
    frame = Frame.from_bytes(b"\x81\x02hi")
    assert pickle.loads(pickle.dumps(frame)) == frame
    assert frame._replace(payload=b"longer").to_bytes() == b"\x81\x06longer"


# ---- what is not one frame ----

WIRES = [slow_codec.frame(0x82, payload_of(size), key) for size in (0, 5, 126, 65536) for key in (None, KEY)]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: f"{len(wire)} bytes")
def test_a_frame_cut_short_or_with_something_behind(wire: bytes) -> None:
    """Whatever length field, key or payload is cut, nothing is read behind the end."""
    for size in (*range(15), len(wire) - 1, len(wire) + 1):
        if size != len(wire):
            with pytest.raises(RemoteProtocolError, match=rf"^frame is {size} bytes; it"):
                Frame.from_bytes((wire + b"!" * 15)[:size])


@pytest.mark.parametrize("length", [*HUGE, 2**63, 2**64 - 1])
def test_a_length_beyond_memory_is_only_a_short_frame(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"its header claims {length + 10}$"):
        Frame.from_bytes(slow_codec.header(0x82, length) + b"some")


MISFITS: dict[str, tuple[Frame, str]] = {
    "opcode 16": (Frame(b"", 16), "opcode is 16; it is 0 to 15"),
    "opcode -1": (Frame(b"", -1), "opcode is -1; it is 0 to 15"),
    "opcode of text": (Frame(b"", "1"), "opcode is '1'; it is 0 to 15"),  # type: ignore[arg-type]  # the point
    "opcode unhashable": (Frame(b"", []), "opcode is []; it is 0 to 15"),  # type: ignore[arg-type]  # the point
    "fin 2": (Frame(b"", fin=2), "fin is 2; it is 0 or 1"),
    "rsv1 -1": (Frame(b"", rsv1=-1), "rsv1 is -1; it is 0 or 1"),
    "rsv2 None": (Frame(b"", rsv2=None), "rsv2 is None; it is 0 or 1"),  # type: ignore[arg-type]  # the point
    "rsv3 7": (Frame(b"", rsv3=7), "rsv3 is 7; it is 0 or 1"),
    "key of 3 bytes": (Frame(b"", mask=b"123"), "masking key is 3 bytes; 4 are wanted"),
    "key of 5 bytes": (Frame(b"", mask=b"12345"), "masking key is 5 bytes; 4 are wanted"),
    "empty key": (Frame(b"", mask=b""), "masking key is 0 bytes; 4 are wanted"),
    "key of text": (Frame(b"", mask="1234"), "masking key is of type str; it is bytes"),  # type: ignore[arg-type]  # the point
    "payload of text": (Frame("hi"), "payload is of type str; it is bytes"),  # type: ignore[arg-type]  # the point
    "payload a number": (Frame(5), "payload is of type int; it is bytes"),  # type: ignore[arg-type]  # the point
}


@pytest.mark.parametrize("method", [Frame.to_bytes, Frame.validate], ids=["to_bytes", "validate"])
@pytest.mark.parametrize(("frame", "message"), MISFITS.values(), ids=MISFITS)
def test_fields_that_fit_no_frame(frame: Frame, message: str, method: Callable[[Frame], object]) -> None:
    """The caller's mistakes raise LocalProtocolError, and no other exception."""
    with refused(LocalProtocolError, message):
        method(frame)


def test_opcode_that_can_not_be_hashed() -> None:
    """A memoryview may raise ValueError for that."""
    with pytest.raises(LocalProtocolError, match=r"opcode is .*; it is 0 to 15"):
        Frame(b"", memoryview(bytes(2)).cast("H")).to_bytes()  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize("name", ["opcode", "fin", "rsv1", "rsv2", "rsv3"])
def test_fields_are_whole_numbers(name: str) -> None:
    """1.0 equals 1, but has no bits."""
    with refused(LocalProtocolError, f"{name} is 1.0; it is an int"):
        Frame(b"", **{name: 1.0}).validate()  # type: ignore[arg-type]  # the point


def test_masked_payload_needs_a_key() -> None:
    with refused(LocalProtocolError, "frame has no masking key"):
        Frame(b"hi").masked_payload()
    with refused(LocalProtocolError, "masking key is 3 bytes; 4 are wanted"):
        Frame(b"hi", mask=b"123").masked_payload()


@pytest.mark.parametrize("data", ["text", 5, None], ids=str)
def test_from_bytes_takes_bytes(data: Any) -> None:
    with refused(LocalProtocolError, f"data is of type {type(data).__name__}; it is bytes"):
        Frame.from_bytes(data)


def test_a_released_view_is_not_bytes() -> None:
    view = memoryview(b"\x81\x00")
    view.release()
    with refused(LocalProtocolError, "data is of type memoryview; it is bytes"):
        Frame.from_bytes(view)


# ---- validate ----

VALID = {
    "text": Frame("h\u00e9llo".encode()),
    "first fragment, cut within a code point": Frame(b"\xe2\x82", fin=0),
    "continuation": Frame(b"\xac", Opcode.CONTINUATION),
    "binary": Frame(b"\xff", Opcode.BINARY),
    "ping of 125 bytes": Frame(bytes(125), Opcode.PING),
    "pong": Frame(b"\xff", Opcode.PONG, KEY),
    "empty close": Frame(b"", Opcode.CLOSE),
    "close": Frame(b"\x03\xe8bye", Opcode.CLOSE),
    "close 4999": Frame(b"\x13\x87", Opcode.CLOSE),
    "true and false": Frame(b"", fin=True, rsv1=False),
}


@pytest.mark.parametrize("frame", VALID.values(), ids=VALID)
def test_valid_frames(frame: Frame) -> None:
    frame.validate()
    Frame.from_bytes(frame.to_bytes()).validate()


INVALID: dict[str, tuple[Frame, int, str]] = {
    "rsv1": (Frame(b"", rsv1=1), 1002, "reserved bits 100 are set without an extension"),
    "rsv2": (Frame(b"", rsv2=1), 1002, "reserved bits 010 are set without an extension"),
    "rsv3": (Frame(b"", rsv3=True), 1002, "reserved bits 001 are set without an extension"),
    "opcode 3": (Frame(b"", 3), 1002, "opcode 0x3 is unknown"),
    "opcode 15": (Frame(b"", 15), 1002, "opcode 0xf is unknown"),
    "fragmented ping": (Frame(b"", Opcode.PING, fin=0), 1002, "control frame with opcode 0x9 is fragmented"),
    "ping of 126 bytes": (Frame(bytes(126), Opcode.PING), 1002, "control frame payload is 126 bytes; the limit is 125"),
    "5 bytes in 16 bits": (
        Frame(b"12345", amount_spec=126),
        1002,
        "payload length 5 is in the form of 126; the shortest is 5",
    ),
    "65535 bytes in 64 bits": (
        Frame(bytes(65535), amount_spec=127),
        1002,
        "payload length 65535 is in the form of 127; the shortest is 126",
    ),
    "close of 1 byte": (
        Frame(b"\x03", Opcode.CLOSE),
        1002,
        "close frame has 1 byte of payload; it has none or a code of 2 bytes",
    ),
    "close 1005": (Frame(b"\x03\xed", Opcode.CLOSE), 1002, "close frame has code 1005, which may not be sent"),
    "close reason": (Frame(b"\x03\xe8\xff", Opcode.CLOSE), 1007, "close reason is not valid UTF-8"),
    "text": (Frame(b"\xff"), 1007, "text is not valid UTF-8"),
    "text cut within a code point": (Frame(b"\xe2\x82"), 1007, "text is not valid UTF-8"),
}


@pytest.mark.parametrize(("frame", "code", "message"), INVALID.values(), ids=INVALID)
def test_invalid_frames(frame: Frame, code: int, message: str) -> None:
    """RemoteProtocolError, with the close code that answers it."""
    with pytest.raises(RemoteProtocolError) as caught:
        frame.validate()
    assert caught.value == RemoteProtocolError(message, code)


def fault_of(frame: Frame, sender: Role) -> int | None:
    try:
        frame.validate(sender)
    except RemoteProtocolError as error:
        return error.code
    return None


@pytest.mark.parametrize("first", range(256), ids="{:#04x}".format)
def test_validate_says_what_the_slow_codec_says(first: int) -> None:
    """A frame is valid if a connection takes it, a continuation within a message."""
    before = slow_codec.frame(0x02, b"", KEY) if first & 0x0F == 0 else b""
    for payload in (b"", b"\x03", b"\x03\xe9", b"\xff\xff", bytes(126)):
        wire = slow_codec.frame(first, payload, KEY)
        told = slow_codec.events(before + wire, role="server")
        expected = next((event[1] for event in told if event[0] == "fault"), None)
        assert fault_of(Frame.from_bytes(wire), CLIENT) == expected


@pytest.mark.parametrize("code", [0, 999, *range(1000, 1017), 2999, 3000, 4999, 5000, 65535])
def test_close_codes(code: int) -> None:
    payload = code.to_bytes(2, "big")
    frame = Frame(payload, Opcode.CLOSE)
    if slow_codec.events(slow_codec.frame(0x88, payload), role="client") == [("close", code, "")]:
        frame.validate()
    else:
        with refused(RemoteProtocolError, f"close frame has code {code}, which may not be sent"):
            frame.validate()


def test_the_sender_decides_on_masking() -> None:
    """Section 5.1: a client masks all frames that it sends, a server none."""
    Frame(b"", mask=KEY).validate(CLIENT)
    Frame(b"").validate(SERVER)
    with refused(RemoteProtocolError, "frame from the client is not masked"):
        Frame(b"").validate(CLIENT)
    with refused(RemoteProtocolError, "frame from the server is masked"):
        Frame(b"", mask=KEY).validate(SERVER)
    with refused(LocalProtocolError, "role is 'client'; it is Role.CLIENT, Role.SERVER or None"):
        Frame(b"").validate("client")  # type: ignore[arg-type]  # the point


AMOUNTS: dict[str, tuple[Frame, str]] = {
    "amount": (Frame(b"abc", amount=4), "amount is 4; the payload is 3 bytes"),
    "amount_spec": (Frame(b"abc", amount_spec=4), "amount_spec is 4; a payload of 3 bytes has 3"),
    "16 bits": (Frame(bytes(65536), amount_spec=126), "amount_spec is 126; a payload of 65536 bytes has 127"),
    "7 bits": (Frame(bytes(126), amount_spec=125), "amount_spec is 125; a payload of 126 bytes has 126"),
    "8 bits": (Frame(bytes(126), amount_spec=128), "amount_spec is 128; a payload of 126 bytes has 126"),
    "amount a list": (Frame(b"", amount=[]), "amount is []; the payload is 0 bytes"),  # type: ignore[arg-type]  # the point
    "amount_spec a list": (Frame(b"", amount_spec=[]), "amount_spec is []; a payload of 0 bytes has 0"),  # type: ignore[arg-type]  # the point
    "amount_spec a float": (Frame(b"", amount_spec=126.0), "amount_spec is 126.0; a payload of 0 bytes has 0"),  # type: ignore[arg-type]  # the point
}


@pytest.mark.parametrize(("frame", "message"), AMOUNTS.values(), ids=AMOUNTS)
def test_amounts_that_are_not_the_payloads(frame: Frame, message: str) -> None:
    """No wire could say so: it's the caller who made it up."""
    with refused(LocalProtocolError, message):
        frame.validate()
