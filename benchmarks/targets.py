"""What was promised: how many times as much as we each peer must cost, and what we may cost at most."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """`candidate` costs at least `least` times what we do at `workload`; `aim` is what we hope for."""

    workload: str
    candidate: str
    least: float
    aim: float | None = None


class Ceiling(NamedTuple):
    """We cost at most `most` times what `candidate` does at `workload`."""

    workload: str
    candidate: str
    most: float


class Rate(NamedTuple):
    """We do at least `least` gigabytes a second at `workload`."""

    workload: str
    least: float


TARGETS = (
    Target("receive_one", "wsproto", 11),
    Target("receive_one", "websockets", 3.5),
    Target("receive_one", "aiohttp", 0.75, 0.85),
    Target("receive_chunks", "wsproto", 24),
    Target("receive_chunks", "websockets", 7),
    Target("receive_chunks", "aiohttp", 1.6, 1.8),
    Target("receive_chunks", "picows", 1.1),
    Target("receive_large", "wsproto", 8),
    Target("receive_large", "websockets", 2),
    Target("receive_reads", "wsproto", 8),
    Target("receive_reads", "websockets", 2),
    Target("receive_reads", "aiohttp", 1),
    Target("receive_fragments", "wsproto", 20),
    Target("receive_fragments", "websockets", 8),
    Target("receive_fragments", "aiohttp", 0.8),
    Target("receive_fragments", "picows", 1.2),
    Target("send_server", "wsproto", 6),
    Target("send_server", "websockets", 2),
    Target("send_client", "wsproto", 9),
    Target("send_client", "websockets", 2.8),
    Target("handshake", "wsproto", 1.7),
    Target("handshake", "websockets", 1.1),
)

CEILINGS = (
    Ceiling("receive_one", "wsdatautil", 1.3),
    Ceiling("receive_large", "wsdatautil", 1.1),
    Ceiling("receive_chunks", "bare loop", 1.5),
    Ceiling("mask", "memcpy", 1.3),
)

RATES = (Rate("validate", 2),)
