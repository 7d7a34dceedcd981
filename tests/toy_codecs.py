"""An extension that is easy to follow: each byte on the wire stands for several of the same in the message."""

from __future__ import annotations

from wsproto_lite import LocalProtocolError


class Repeat:
    """Repeat each byte `times` times, as an inflating codec would: in bounded outputs, with more pending."""

    def __init__(self, times: int, rsv: int = 0x40, threshold: int = 0) -> None:
        self.times = times
        self.rsv = rsv
        self.threshold = threshold
        self.has_pending = False
        self.broken = False
        self.calls: list[tuple[bytes, bool, int]] = []
        self._backlog = b""

    def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
        """Give at most `max_length` bytes."""
        self.calls.append((data, final, max_length))
        self._backlog += b"".join(bytes([octet]) * self.times for octet in data)
        output, self._backlog = self._backlog[:max_length], self._backlog[max_length:]
        self.has_pending = bool(self._backlog)
        return output

    def wants(self, size: int | None) -> bool:
        """Leave short messages alone."""
        return size is None or size >= self.threshold

    def encode(self, data: bytes, *, final: bool) -> bytes:
        """Keep one byte of several."""
        if self.broken:
            raise LocalProtocolError("broken codec")
        return bytes(data)[:: self.times]
