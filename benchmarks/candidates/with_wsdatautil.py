"""WsDataUtil's Frame as a candidate: one whole frame at a time, no connection, no rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsdatautil import Frame

from ..workloads import Content
from .base import Candidate, NotMeasured, Receive


class WsDataUtil(Candidate):
    """Frame.from_streamdata on chunks that are whole frames. Text stays encoded."""

    name = "wsdatautil"
    distribution = "wsdatautil"
    note = "bare frames"

    def make_receive(self) -> Receive:
        raise NotMeasured

    def make_receive_frame(self) -> Receive:
        from_streamdata = Frame.from_streamdata

        def receive(chunks: Sequence[bytes]) -> Any:
            frame = None
            for chunk in chunks:
                frame = from_streamdata(chunk)
            return frame

        return receive

    def contents(self, delivered: Any) -> list[Content]:
        return [delivered.payload.decode() if delivered.opcode == 1 else delivered.payload]
