"""A connection from outside: the opening handshake, what it agrees on, and what isn't a WebSocket."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import RESPONSE, UPGRADE

from wsproto_lite import CLIENT, SERVER, CloseCode, Role
from wsproto_lite.conversation import MAX_WAITING, Conversation, Note, Record, sender_of
from wsproto_lite.judge import JudgedFrame
from wsproto_lite.seen_handshake import MAX_HEAD, SeenRequest, SeenResponse
from wsproto_lite.testing import every_split, from_hex

DEFLATE = b"permessage-deflate"
HELLO = from_hex("8185 37fa213d 7f9f4d5158")
ANSWER = from_hex("8105 48656c6c6f")
COMPRESSED = from_hex("c107 f248cdc9c90700")
AGAIN = from_hex("c105 f200110000")
MASKED_COMPRESSED = from_hex("c187 00000000 f248cdc9c90700")

Step = tuple[Role, bytes]


def with_header(head: bytes, name: bytes, value: bytes) -> bytes:
    """Give a head with one more field."""
    return head.replace(b"\r\n\r\n", b"\r\n%b: %b\r\n\r\n" % (name, value))


def offering(*extensions: bytes) -> bytes:
    return with_header(UPGRADE, b"Sec-WebSocket-Extensions", b", ".join(extensions))


def accepting(*extensions: bytes) -> bytes:
    return with_header(RESPONSE, b"Sec-WebSocket-Extensions", b", ".join(extensions))


def records(*steps: Step, **options: Any) -> list[Record]:
    """Give all records of a conversation to its end."""
    conversation = Conversation(100, **options)
    seen: list[Record] = []
    for sender, data in steps:
        seen += conversation.feed(sender, data)
    return seen + list(conversation.finish())


def kinds(seen: list[Record]) -> list[str]:
    """Say what was seen, in a few words."""
    words = {SeenRequest: "request", SeenResponse: "response", Note: "note"}
    return [
        f"{record.sender.name.lower()} {(record.inflated or record.payload).decode()}"
        if isinstance(record, JudgedFrame)
        else words[type(record)]
        for record in seen
    ]


def violations(seen: list[Record]) -> list[str]:
    """Give the sections of all violations."""
    found = [record.violation for record in seen if not isinstance(record, Note)]
    return [violation.section for violation in found if violation is not None]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"G", None),
        (b"GET", None),
        (b"GET /", CLIENT),
        (b"HTT", None),
        (b"HTTP/1.1", SERVER),
        (b"\x81", None),
        (b"\x81\x80", CLIENT),
        (b"\x81\x00", SERVER),
    ],
)
def test_sender_of(data: bytes, expected: Role | None) -> None:
    assert sender_of(data) is expected


STEPS = [(CLIENT, UPGRADE), (SERVER, RESPONSE + ANSWER), (CLIENT, HELLO)]


def test_both_directions() -> None:
    seen = records(*STEPS)
    assert kinds(seen) == ["request", "response", "server Hello", "client Hello"]
    assert violations(seen) == []
    request, response = seen[:2]
    assert isinstance(request, SeenRequest)
    assert request.request is not None
    assert (request.request.target, request.request.subprotocols) == ("/chat", ("chat", "superchat"))
    assert isinstance(response, SeenResponse)
    assert (response.status, response.extensions) == (101, ())


@pytest.mark.parametrize("must_open", [True, False])
def test_any_split(must_open: bool) -> None:
    whole = records(*STEPS)
    for index in range(len(STEPS)):
        sender, data = STEPS[index]
        for chunks in every_split(data):
            steps = [*STEPS[:index], *((sender, chunk) for chunk in chunks), *STEPS[index + 1 :]]
            assert records(*steps, must_open=must_open, may_skip=True) == whole


def test_response_that_is_seen_first() -> None:
    """If the beginning was seen, the request is to come, however packets were captured."""
    client, server = (CLIENT, UPGRADE + HELLO), (SERVER, RESPONSE + ANSWER)
    expected = ["request", "response", "client Hello", "server Hello"]
    assert kinds(records(server, client, must_open=True, may_skip=True)) == expected
    assert kinds(records(server, must_open=True, may_skip=True)) == ["response", "server Hello"]


def test_response_behind_frames() -> None:
    """What was begun without it goes on without it."""
    seen = records((CLIENT, HELLO), (SERVER, RESPONSE + ANSWER), (CLIENT, HELLO))
    assert kinds(seen) == ["client Hello", "response", "server Hello", "client Hello"]


def test_subprotocol() -> None:
    _, response = records((CLIENT, UPGRADE), (SERVER, with_header(RESPONSE, b"Sec-WebSocket-Protocol", b"chat")))
    assert isinstance(response, SeenResponse)
    assert response.subprotocol == "chat"


@pytest.mark.parametrize("answer", [b"", b"; client_no_context_takeover; server_max_window_bits=10"])
def test_negotiated_deflate(answer: bytes) -> None:
    """Frames of the client that come before the response wait for it."""
    seen = records((CLIENT, offering(DEFLATE) + MASKED_COMPRESSED), (SERVER, accepting(DEFLATE + answer) + COMPRESSED))
    assert kinds(seen) == ["request", "response", "client Hello", "server Hello"]
    assert violations(seen) == []


def test_deflate_that_was_not_negotiated() -> None:
    seen = records((CLIENT, offering(DEFLATE)), (SERVER, RESPONSE + COMPRESSED))
    assert violations(seen) == ["RFC 6455 section 5.2"]


def test_unknown_extension() -> None:
    """It may change frames in any way."""
    seen = records((CLIENT, offering(b"x-rot13", DEFLATE)), (SERVER, accepting(b"x-rot13") + b"\xb3\x00"))
    assert kinds(seen) == ["request", "response", "note", "server "]
    assert violations(seen) == []
    assert seen[2] == Note(None, "extension 'x-rot13' is unknown: frames are shown, but neither decoded nor judged")


BAD_REQUESTS = {
    "no_key": (UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key"), "RFC 6455 section 4.1"),
    "subprotocol_twice": (UPGRADE.replace(b"superchat", b"chat"), "RFC 6455 section 4.1"),
    "extensions": (offering(b";"), "RFC 6455 section 9.1"),
}


@pytest.mark.parametrize(("request_head", "section"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
@pytest.mark.parametrize("may_skip", [True, False], ids=["capture", "bytes"])
def test_bad_request(request_head: bytes, section: str, may_skip: bool) -> None:
    """A server that takes it nevertheless is believed."""
    seen = records((CLIENT, request_head), (SERVER, RESPONSE + ANSWER), (CLIENT, HELLO), may_skip=may_skip)
    assert kinds(seen) == ["request", "response", "server Hello", "client Hello"]
    assert violations(seen) == [section]


BAD_RESPONSES = {
    "accept": (UPGRADE, RESPONSE.replace(b"s3pP", b"AAAA"), "RFC 6455 section 4.2.2"),
    "subprotocol": (UPGRADE, with_header(RESPONSE, b"Sec-WebSocket-Protocol", b"x"), "RFC 6455 section 4.2.2"),
    "extension_not_offered": (UPGRADE, accepting(DEFLATE), "RFC 7692 section 7.1"),
    "other_extension_not_offered": (offering(DEFLATE), accepting(b"x"), "RFC 6455 section 9.1"),
    "parameter": (offering(DEFLATE), accepting(DEFLATE + b"; server_max_window_bits=7"), "RFC 7692 section 7.1"),
}


@pytest.mark.parametrize(("request_head", "response", "section"), BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_bad_response(request_head: bytes, response: bytes, section: str) -> None:
    """Frames behind it are shown, but not judged: what would they be judged by?"""
    seen = records((CLIENT, request_head), (SERVER, response), (CLIENT, from_hex("c300")))
    assert kinds(seen) == ["request", "response", "client "]
    assert violations(seen) == [section]


def test_response_that_is_not_http() -> None:
    """A server that doesn't wait for its own consent."""
    seen = records((CLIENT, UPGRADE), (SERVER, ANSWER))
    assert kinds(seen) == ["request", "response", "server Hello"]
    assert violations(seen) == ["RFC 6455 section 4.2.2"]


REFUSALS = {
    "with_a_length": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
    "to_the_end": b"HTTP/1.1 403 Forbidden\r\n\r\nno",
}


@pytest.mark.parametrize("response", REFUSALS.values(), ids=REFUSALS)
def test_refusal(response: bytes) -> None:
    seen = records((CLIENT, UPGRADE), (SERVER, response), (CLIENT, HELLO))
    assert kinds(seen) == ["request", "response"]
    assert isinstance(seen[1], SeenResponse)
    assert (seen[1].status, seen[1].violation) == (403, None)


# ---- one direction ----


def test_client_alone() -> None:
    seen = records((CLIENT, UPGRADE + HELLO), (CLIENT, HELLO), is_one_sided=True)
    assert kinds(seen) == ["request", "client Hello", "client Hello"]


@pytest.mark.parametrize("one_sided", [True, False], ids=["one_sided", "response_missing"])
def test_client_alone_with_deflate(one_sided: bool) -> None:
    """A client that offers permessage-deflate and sets RSV1 then has been granted it."""
    seen = records((CLIENT, offering(DEFLATE) + MASKED_COMPRESSED), is_one_sided=one_sided)
    assert kinds(seen) == ["request", "client Hello"]
    assert violations(seen) == []


@pytest.mark.parametrize("one_sided", [True, False])
def test_server_alone(one_sided: bool) -> None:
    for chunks in every_split(accepting(DEFLATE) + COMPRESSED + AGAIN):
        seen = records(*((SERVER, chunk) for chunk in chunks), is_one_sided=one_sided)
        assert kinds(seen) == ["response", "server Hello", "server Hello"]
        assert violations(seen) == []


LONE_RESPONSES = {
    "refusal": (b"HTTP/1.1 404 Not Found\r\n\r\n" + ANSWER, 404, []),
    "no_status": (b"HTTP/1.1 abc\r\n\r\n", 101, ["RFC 6455 section 4.2.2"]),
    "no_upgrade": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, ["RFC 6455 section 4.2.2"]),
    "subprotocol": (with_header(RESPONSE, b"Sec-WebSocket-Protocol", b"x"), 101, []),
    "parameter": (accepting(DEFLATE + b"; x"), 101, ["RFC 7692 section 7.1"]),
}


@pytest.mark.parametrize(("data", "status", "sections"), LONE_RESPONSES.values(), ids=LONE_RESPONSES)
def test_response_alone(data: bytes, status: int, sections: list[str]) -> None:
    (response,) = records((SERVER, data))
    assert isinstance(response, SeenResponse)
    assert response.status == status
    assert violations([response]) == sections


@pytest.mark.parametrize(
    ("deflate", "sections"), [(False, ["RFC 6455 section 5.2"]), (True, [])], ids=["plain", "deflate"]
)
def test_frames_alone(deflate: bool, sections: list[str]) -> None:
    """Without a handshake it has to be said that permessage-deflate was negotiated."""
    assert violations(records((SERVER, ANSWER), (SERVER, COMPRESSED), deflate=deflate)) == sections


# ---- what is incomplete ----

ENDS = {
    "request": ([(CLIENT, UPGRADE[:-1])], "input ends within the opening handshake"),
    "response": ([(CLIENT, UPGRADE), (SERVER, RESPONSE[:-1])], "input ends within the opening handshake"),
    "lone_response": ([(SERVER, RESPONSE[:-1])], "input ends within the opening handshake"),
    "header": ([(SERVER, ANSWER[:1])], "input ends with 1 bytes of a frame's header"),
}


@pytest.mark.parametrize(("steps", "message"), ENDS.values(), ids=ENDS)
def test_end_of_input(steps: list[Step], message: str) -> None:
    assert records(*steps)[-1] == Note(steps[-1][0], message, is_incomplete=True)


def test_end_within_a_frame() -> None:
    (frame,) = records((SERVER, ANSWER[:-1]))
    assert isinstance(frame, JudgedFrame)
    assert not frame.is_complete


def test_few_bytes_that_may_be_a_handshake() -> None:
    """At the end they are none."""
    assert kinds(records((CLIENT, b"GE"))) == ["client "]
    assert records((CLIENT, b"GE"), may_skip=True) == []


def test_response_that_never_comes() -> None:
    """Not more than so much waits for it."""
    conversation = Conversation(0)
    seen = list(conversation.feed(CLIENT, UPGRADE))
    frame = from_hex("82ff 0000000000010000 00000000") + bytes(65536)
    for _ in range(MAX_WAITING // len(frame) + 1):
        seen += conversation.feed(CLIENT, frame)
    assert len(seen) == 1 + MAX_WAITING // len(frame) + 1


@pytest.mark.parametrize("steps", [[], [(CLIENT, UPGRADE)]], ids=["alone", "asked_for"])
def test_endless_response(steps: list[Step]) -> None:
    seen = records(*steps, (SERVER, b"HTTP/1.1 101 " + b"x" * MAX_HEAD), (SERVER, ANSWER))
    if steps:
        assert violations(seen) == ["RFC 6455 section 4.2.2"]
    else:
        assert seen == [Note(SERVER, f"response has a head of more than {MAX_HEAD} bytes", is_incomplete=True)]


def test_giving_up() -> None:
    """Where bytes are missing one direction ends, the other goes on."""
    conversation = Conversation(100)
    seen = [record for sender, data in STEPS for record in conversation.feed(sender, data)]
    assert list(conversation.feed(SERVER, ANSWER[:4])) == []
    frame, note = conversation.give_up(SERVER, "lost")
    assert isinstance(frame, JudgedFrame)
    assert (frame.payload, frame.is_complete) == (b"He", False)
    assert note == Note(SERVER, "lost", is_incomplete=True)
    assert list(conversation.feed(SERVER, ANSWER)) == []
    assert kinds(list(conversation.feed(CLIENT, HELLO))) == ["client Hello"]
    assert list(conversation.finish()) == []
    assert list(conversation.give_up(CLIENT, "lost")) == []
    assert len(seen) == 4


@pytest.mark.parametrize(("data", "count"), [(b"", 0), (UPGRADE, 1)], ids=["of_what_may_be_none", "of_a_websocket"])
def test_giving_up_the_handshake(data: bytes, count: int) -> None:
    conversation = Conversation(100)
    list(conversation.feed(CLIENT, data))
    assert len(list(conversation.give_up(SERVER, "lost"))) == count
    assert conversation.is_skipped


# ---- what is no WebSocket ----

OTHERS = {
    "tls": [(CLIENT, b"\x16\x03\x01\x02\x00")],
    "http": [(CLIENT, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), (SERVER, b"HTTP/1.1 200 OK\r\n\r\n")],
    "post": [(CLIENT, b"POST / HTTP/1.1\r\n\r\n")],
    "broken_http": [(CLIENT, b"GET / HTTP/9\r\n\r\n")],
    "ssh": [(SERVER, b"SSH-2.0-x\r\n")],
}


@pytest.mark.parametrize("steps", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("must_open", [True, False])
def test_other_protocols(steps: list[Step], must_open: bool) -> None:
    assert records(*steps, must_open=must_open, may_skip=True) == []


def test_protocol_in_which_only_the_server_speaks() -> None:
    """It is not waited for the client forever."""
    conversation = Conversation(0, must_open=True, may_skip=True)
    assert list(conversation.feed(SERVER, bytes(MAX_WAITING))) == []
    assert not conversation.is_skipped
    assert list(conversation.feed(SERVER, b"x")) == []
    assert conversation.is_skipped


@pytest.mark.parametrize(("must_open", "count"), [(True, 0), (False, 1)], ids=["from_its_beginning", "from_the_middle"])
def test_frames_in_a_capture(must_open: bool, count: int) -> None:
    """Where its beginning was seen, a WebSocket has a handshake."""
    assert len(records((CLIENT, HELLO), must_open=must_open, may_skip=True)) == count


def test_request_that_is_not_for_a_websocket() -> None:
    """If there is nothing else it can be, it is a bad one."""
    seen = records((CLIENT, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert kinds(seen) == ["request"]
    assert isinstance(seen[0], SeenRequest)
    assert seen[0].violation is not None
    assert seen[0].violation.code == CloseCode.PROTOCOL_ERROR
