"""Random streams for a connection to read: good ones, and ones in which something is wrong."""

from __future__ import annotations

from helpers import KEY, ROLES
from hypothesis import strategies as st
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT
from slow_codec import frame as encode

from wsproto_lite import SERVER, Role, Settings

Frame = tuple[int, bytes]

roles = st.sampled_from(ROLES)

texts = st.text(st.sampled_from("aé€😀\x7f\u07ff\ud7ff\uffff\U0010ffff"), max_size=12) | st.text(max_size=40)

payloads = texts.map(str.encode) | st.binary(max_size=8) | st.integers(120, 135).map(bytes)

controls = st.tuples(st.sampled_from([FIN | PING, FIN | PONG]), st.binary(max_size=4))

closes = st.builds(
    lambda code, reason: (FIN | CLOSE, code + reason),
    st.sampled_from([b"", b"\x03\xe8", b"\x0b\xb8", b"\x13\x87"]),
    st.just(b""),
) | texts.map(lambda reason: (FIN | CLOSE, b"\x03\xe8" + reason.encode()[:40].decode(errors="ignore").encode()))

settings = st.builds(
    Settings,
    max_message_size=st.sampled_from([None, 1, 30, 130, 1 << 20]),
    max_frame_size=st.sampled_from([None, None, 10, 126]),
    max_fragments=st.sampled_from([None, None, 1, 3]),
    auto_reply=st.booleans(),
    delivery=st.sampled_from(["message", "frame"]),
    text_as_bytes=st.booleans(),
    random_bytes=st.just(bytes),  # masking keys of zeros, so that outputs can be compared
)


@st.composite
def fragmented(draw: st.DrawFn) -> list[Frame]:
    """Give a message in any number of frames, with control frames in between (section 5.4)."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(texts).encode() if opcode == TEXT else draw(payloads)
    ends = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    frames = []
    for start, end in zip([0, *ends], [*ends, len(payload)]):
        frames.append((CONTINUATION if frames else opcode, payload[start:end]))
    frames[-1] = (frames[-1][0] | FIN, frames[-1][1])
    for control in draw(st.lists(controls, max_size=2)):
        frames.insert(draw(st.integers(0, len(frames))), control)
    return frames


good_frames = st.lists(fragmented() | controls.map(lambda frame: [frame]), max_size=5).map(
    lambda parts: [frame for part in parts for frame in part]
)

any_frames = st.lists(st.tuples(st.integers(0, 255), payloads), max_size=3)


@st.composite
def frame_lists(draw: st.DrawFn) -> list[Frame]:
    """Give frames, mostly in a good sequence, with a Close or without."""
    frames = draw(good_frames)
    if draw(st.booleans()):
        frames += [draw(closes), *draw(good_frames | any_frames)]
    if draw(st.integers(0, 3)) == 0:
        frames = draw(st.permutations(frames))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(frames)))
        frames = [*frames[:at], *draw(any_frames), *frames[at:]]
    return frames


@st.composite
def streams(draw: st.DrawFn, role: Role) -> bytes:
    """Give what a peer of a connection of `role` might send, perhaps damaged."""
    data = b"".join(encode(first, payload, KEY if role is SERVER else None) for first, payload in draw(frame_lists()))
    damage = draw(st.sampled_from(["", "", "change", "cut", "insert"]))
    if not damage or not data:
        return data
    at = draw(st.integers(0, len(data) - 1))
    if damage == "change":
        return data[:at] + bytes([data[at] ^ draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))]) + data[at + 1 :]
    if damage == "cut":
        return data[:at]
    return data[:at] + draw(st.binary(min_size=1, max_size=4)) + data[at:]


role_and_stream = roles.flatmap(lambda role: st.tuples(st.just(role), streams(role)))

positions = st.lists(st.integers(0, 400), max_size=4)
