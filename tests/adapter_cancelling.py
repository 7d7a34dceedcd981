"""Cancelling something at any of its awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, Callable

from patience import PATIENCE


class Cancelling:
    """Awaits something, and calls `cancel` when it has been suspended `turns` times. `is_over`: it never was."""

    def __init__(self, work: Awaitable[Any], turns: int, cancel: Callable[[], object]) -> None:
        self.work = work
        self.turns = turns
        self.cancel = cancel
        self.is_over = False

    def __await__(self) -> Generator[Any, Any, None]:
        if not self.turns:
            self.cancel()
        steps = self.work.__await__()
        resume: Callable[[], Any] = lambda: next(steps)  # noqa: E731 - it is assigned again below
        try:
            while True:
                waiting = resume()
                self.turns -= 1
                if not self.turns:
                    self.cancel()
                try:
                    result = yield waiting
                except BaseException as error:
                    resume = lambda error=error: steps.throw(error)  # type: ignore[attr-defined]  # noqa: E731
                else:
                    resume = lambda result=result: steps.send(result)  # type: ignore[attr-defined]  # noqa: E731
        except StopIteration:
            self.is_over = self.turns > 0


async def cancelled_over_asyncio(work: Awaitable[Any], turns: int, seconds: float = PATIENCE) -> bool:
    """Cancel after so many turns, or so many seconds. Tell whether it was over before."""
    task: asyncio.Task[Any] | None = None

    def cancel() -> None:
        assert task is not None
        task.cancel()

    async def run() -> None:
        await cancelling

    cancelling = Cancelling(work, turns, cancel)
    task = asyncio.ensure_future(run())
    await asyncio.wait([task], timeout=seconds)
    cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return cancelling.is_over
