"""RFC 7692 sections 4, 5, 7, 7.1 and 7.3: the negotiation, one rule a test; docs/rfc7692.md names them."""

from __future__ import annotations

from typing import Any

import pytest
from deflate_backends import noise
from helpers import RSV1, both_roles, feed
from rfc7692_checks import (
    FULL_WINDOWS,
    HELLO,
    HELLO_AGAIN,
    NAME,
    assert_client_fails,
    client_for,
    marked,
    offered,
    opened,
    opened_fully,
    sent,
    server_for,
)
from slow_codec import FIN, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    Extension,
    Role,
    TextMessage,
)


class Other(Extension):
    """Another extension with a mark of its own; never decodes anything here."""

    name = "x-other"

    def __init__(self, rsv: int) -> None:
        self.rsv = rsv

    def offer(self) -> tuple[()]:
        return ()

    def accept(self, params: Any) -> Any:
        return (), self

    def finalize(self, params: Any) -> Any:
        return self


# ---- negotiation ----


def test_5_client_offers_by_name() -> None:
    """Section 5: to offer, a client MUST include the name in Sec-WebSocket-Extensions."""
    assert offered() == "permessage-deflate; client_max_window_bits"
    assert offered(Other(0x20)) == "permessage-deflate; client_max_window_bits, x-other"


def test_4_name_and_parameters() -> None:
    """Section 4: the extension's name and all its parameters MUST be in Sec-WebSocket-Extensions, of either end."""
    flags = "; server_no_context_takeover; client_no_context_takeover"
    config = {
        "server_no_context_takeover": True,
        "client_no_context_takeover": True,
        "server_max_window_bits": 9,
        "client_max_window_bits": 10,
    }
    params = f"{flags}; server_max_window_bits=9; client_max_window_bits=10"
    assert offered(**config) == NAME + params
    assert server_for(f"{NAME}; client_max_window_bits", **config)[1] == NAME + params


def test_5_client_tells_its_window() -> None:
    """Section 5: the client MUST inform the server of its window: all that is not told is 32,768 bytes."""
    for bits in range(8, 15):
        assert f"; server_max_window_bits={bits};" in offered(server_max_window_bits=bits)


def test_5_server_accepts_by_name() -> None:
    """Section 5: to accept, a server MUST include the name in Sec-WebSocket-Extensions."""
    _, answer = server_for(NAME)
    assert answer == "permessage-deflate; server_max_window_bits=12"


def test_5_server_supports_what_it_accepts() -> None:
    """Section 5: the element MUST be fully supported by the server."""
    bits = [f"; {side}_max_window_bits={size}" for side in ("server", "client") for size in range(8, 16)]
    for params in ("", "; server_no_context_takeover; client_no_context_takeover", *bits):
        server, answer = server_for(NAME + params)
        assert answer is not None
        client, _ = client_for(answer)
        # The second refers to the first, as far as the window reaches.
        message = TextMessage(noise(1500).hex())
        for one, other in ((client, server), (server, client)):
            for _ in range(2):
                output = one.send(message)
                assert output[0] == FIN | RSV1 | TEXT
                assert feed(other, output) == [message]


def test_5_server_declines_a_second_use_of_rsv1() -> None:
    """Section 5: a server MUST NOT accept it together with an extension that uses RSV1 as well."""
    assert server_for(f"{NAME}, x-other", Other(RSV1), **FULL_WINDOWS)[1] == NAME
    assert server_for(f"{NAME}, x-other", Other(0x20), **FULL_WINDOWS)[1] == f"{NAME}, x-other"


def test_5_client_fails_a_second_use_of_rsv1() -> None:
    """Section 5: a client that got such a response MUST fail."""
    assert_client_fails(f"{NAME}, x-other", "the same reserved bit", Other(RSV1))
    assert isinstance(client_for(f"{NAME}, x-other", Other(0x20))[1], AcceptConnection)


def test_5_server_that_declines_says_nothing() -> None:
    """Section 5: a server that declines all offers MUST NOT include any element with their names."""
    server, answer = server_for(f"{NAME}; unknown, {NAME}; server_max_window_bits=99")
    assert (answer, server.extensions) == (None, ())
    assert sent(server, TextMessage("x" * 300))[0][0] == FIN | TEXT


def test_5_client_fails_what_it_did_not_offer() -> None:
    """Section 5: on an invalid response, such as accepting what was not offered, the client MUST fail."""
    assert_client_fails("permessage-bzip2", "was not offered")
    assert_client_fails(f"{NAME}, permessage-bzip2", "was not offered")
    assert_client_fails(f"{NAME}, {NAME}", "twice")


@both_roles
def test_5_both_ends_use_what_was_agreed(role: Role) -> None:
    """Section 5: both endpoints MUST use the algorithm of section 6 with the parameters of the response."""
    connection = opened_fully(role, "; server_no_context_takeover; client_no_context_takeover")
    assert sent(connection, TextMessage("Hello"), TextMessage("Hello")) == [(FIN | RSV1 | TEXT, HELLO)] * 2
    assert feed(connection, marked(role, HELLO)) == [TextMessage("Hello")]
    # Each side by its own parameters.
    connection = opened_fully(role, "; server_no_context_takeover")
    again = HELLO if role is SERVER else HELLO_AGAIN
    assert [data for _, data in sent(connection, TextMessage("Hello"), TextMessage("Hello"))] == [HELLO, again]


# ---- permessage-deflate: what a server declines and a client fails ----


UNKNOWN = "; window_bits=12"
INVALID = (
    "; server_max_window_bits=7",
    "; server_max_window_bits=16",
    "; client_max_window_bits=16",
    "; server_max_window_bits",
    "; client_max_window_bits=7",
    "; server_no_context_takeover=1",
    "; client_no_context_takeover=1",
    "; server_no_context_takeover=true",
    "; client_no_context_takeover=true",
)
TWICE = (
    "; server_no_context_takeover; server_no_context_takeover",
    "; client_no_context_takeover; client_no_context_takeover",
    "; server_max_window_bits=12; server_max_window_bits=12",
    "; client_max_window_bits=12; client_max_window_bits=11",
)


def test_7_server_declines_unknown_parameters() -> None:
    """Section 7: a server MUST decline an offer with a parameter that is not defined for one."""
    assert server_for(NAME + UNKNOWN)[1] is None


@pytest.mark.parametrize("params", INVALID)
def test_7_server_declines_invalid_values(params: str) -> None:
    """Section 7: a server MUST decline an offer with an invalid value."""
    assert server_for(NAME + params)[1] is None


@pytest.mark.parametrize("params", TWICE)
def test_7_server_declines_doubled_parameters(params: str) -> None:
    """Section 7: a server MUST decline an offer with a parameter more than once."""
    assert server_for(NAME + params)[1] is None


def test_7_server_declines_what_it_does_not_support() -> None:
    """Section 7: a server MUST decline a configuration it doesn't support: a client's window that it can't limit."""
    assert server_for(NAME, client_max_window_bits=10)[1] is None
    assert server_for(f"{NAME}; client_max_window_bits", client_max_window_bits=10)[1] is not None


def test_7_client_fails_unknown_parameters() -> None:
    """Section 7: a client MUST fail on a response with a parameter that is not defined for one."""
    assert_client_fails(NAME + UNKNOWN, "unknown parameter")


@pytest.mark.parametrize("params", [*INVALID, "; client_max_window_bits"])
def test_7_client_fails_invalid_values(params: str) -> None:
    """Section 7: a client MUST fail on a response with an invalid value."""
    assert_client_fails(NAME + params, "with")


@pytest.mark.parametrize("params", TWICE)
def test_7_client_fails_doubled_parameters(params: str) -> None:
    """Section 7: a client MUST fail on a response with a parameter more than once."""
    assert_client_fails(NAME + params, "twice")


def test_7_client_fails_what_it_does_not_support() -> None:
    """Section 7: a client MUST fail on a configuration that it doesn't support: a window larger than it asked for."""
    assert_client_fails(f"{NAME}; server_max_window_bits=11", "the limit is 10", server_max_window_bits=10)
    _, event = client_for(f"{NAME}; server_max_window_bits=10", server_max_window_bits=10)
    assert isinstance(event, AcceptConnection)


def test_7_1_1_1_server_supports_the_parameter() -> None:
    """Section 7.1.1.1: a server is RECOMMENDED to support server_no_context_takeover in an offer."""
    server, answer = server_for(f"{NAME}; server_no_context_takeover", **FULL_WINDOWS)
    assert answer == f"{NAME}; server_no_context_takeover"
    assert sent(server, TextMessage("Hello"), TextMessage("Hello")) == [(FIN | RSV1 | TEXT, HELLO)] * 2


def test_7_1_1_2_client_supports_the_parameter() -> None:
    """Section 7.1.1.2: a client MUST support client_no_context_takeover in a response."""
    client = opened(CLIENT, "; client_no_context_takeover")
    assert sent(client, TextMessage("Hello"), TextMessage("Hello")) == [(FIN | RSV1 | TEXT, HELLO)] * 2


NO_NUMBERS = ("08", "+9", "9.0", "0x9", "nine", "1_0")


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("side", ["server", "client"])
def test_7_1_2_value_of_an_offer(side: str, value: str) -> None:
    """Sections 7.1.2.1 and 7.1.2.2: a value MUST conform to the ABNF, digits without leading zeros."""
    assert server_for(f"{NAME}; {side}_max_window_bits={value}")[1] is None


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("side", ["server", "client"])
def test_7_1_2_value_of_an_answer(side: str, value: str) -> None:
    """Sections 7.1.2.1 and 7.1.2.2: the value in a response MUST conform to the ABNF."""
    assert_client_fails(f"{NAME}; {side}_max_window_bits={value}", "with the value")


def test_7_1_2_values_that_we_write() -> None:
    """Sections 7.1.2.1 and 7.1.2.2: what we write MUST conform to the ABNF, too."""
    params = "; server_max_window_bits=9; client_max_window_bits=10"
    assert offered(server_max_window_bits=9, client_max_window_bits=10) == NAME + params
    flags = "; server_no_context_takeover; client_no_context_takeover"
    both = {"server_no_context_takeover": True, "client_no_context_takeover": True}
    assert offered(**both) == f"{NAME}{flags}; client_max_window_bits"
    assert server_for(NAME, **both)[1] == f"{NAME}{flags}; server_max_window_bits=12"
    ours = {"server_max_window_bits": 9, "client_max_window_bits": 10}
    assert server_for(f"{NAME}; client_max_window_bits", **ours)[1] == NAME + params


def test_7_1_2_2_only_if_offered() -> None:
    """Section 7.1.2.2: without client_max_window_bits in the offer the response MUST NOT have it."""
    assert server_for(NAME)[1] == f"{NAME}; server_max_window_bits=12"
    answer = f"{NAME}; server_max_window_bits=12; client_max_window_bits=12"
    assert server_for(f"{NAME}; client_max_window_bits")[1] == answer


def test_7_3_window_of_1_kib_or_more() -> None:
    """Section 7.3: a window of 1,024 bytes or more is RECOMMENDED: a server asks for 4,096 by itself."""
    assert server_for(f"{NAME}; client_max_window_bits")[1] == (
        f"{NAME}; server_max_window_bits=12; client_max_window_bits=12"
    )
    assert offered() == f"{NAME}; client_max_window_bits"
