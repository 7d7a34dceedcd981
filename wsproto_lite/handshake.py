"""The opening handshake on plain values: RFC 6455 section 4 for HTTP/1.1, RFC 8441 and 9220 for HTTP/2 and 3.

Everything here takes and gives methods, targets, statuses and header fields, so that any HTTP library can carry them.
Only names are gathered here; the files that begin with `handshake_` have the substance.
"""

from .handshake_client import check_response, request_headers
from .handshake_request import HandshakeRequest, HandshakeResponse
from .handshake_server import accept, check_request, reject
from .handshake_shared import Handshake, Http, accept_key, generate_key

__all__ = [
    "Handshake",
    "HandshakeRequest",
    "HandshakeResponse",
    "Http",
    "accept",
    "accept_key",
    "check_request",
    "check_response",
    "generate_key",
    "reject",
    "request_headers",
]
