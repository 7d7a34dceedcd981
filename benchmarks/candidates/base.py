"""What a candidate is: a library at work in its users' hands, with nothing around it that could be left out.

Each method returns a function that does the work in a loop of its own, because a common loop with a call per message
would cost the fastest most. The check runs the very same function, one chunk at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any, Callable, ClassVar

from ..workloads import Content

LIMIT = 128 << 20
"""Bytes that a message may have, in every candidate: above all that is sent."""

Receive = Callable[[Sequence[bytes]], Any]
"""Take chunks from one open connection; return what the last of them delivered, in the library's own shape."""

Send = Callable[[Sequence[str]], Sequence[bytes]]
"""Turn texts into frames; return them all, in any number of parts, so that no JIT compiler leaves any out."""

Shake = Callable[[bytes, Sequence[bytes]], Any]
"""For each frame make a connection, accept the request, and receive the frame; return (response, delivered)."""


class NotMeasured(Exception):
    """The candidate has nothing that does this work."""


class Candidate:
    """A library and how it is used. What it can't do raises NotMeasured."""

    name: ClassVar[str]
    distribution: ClassVar[str]
    note: ClassVar[str] = ""

    @property
    def version(self) -> str:
        """The version of the distribution that is measured."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "not installed, from the working tree"

    def make_receive(self) -> Receive:
        """Open a server's connection that receives from a client."""
        raise NotMeasured

    def make_receive_frame(self) -> Receive:
        """As make_receive, for chunks that are whole frames."""
        return self.make_receive()

    def contents(self, delivered: Any) -> list[Content]:
        """Return the messages in what Receive returned."""
        raise NotImplementedError

    def make_send(self, *, client: bool) -> Send:
        """Open a connection that sends."""
        raise NotMeasured

    def make_shake(self) -> Shake:
        """Prepare to be a server for new connections."""
        raise NotMeasured
