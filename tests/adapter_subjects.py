"""Servers and clients over every adapter, driven from a thread that blocks, so that a test is written once for all.

What a handler or a client does is a script: a generator that yields what it calls. `message = yield ws.recv()` waits
for a coroutine where there is one, and has the result already where the call has blocked.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from queue import Queue
from typing import Any, Callable

import trio
from patience import PATIENCE

import wsproto_lite.adapters.asyncio
import wsproto_lite.adapters.threads
import wsproto_lite.adapters.trio

Script = Callable[[Any], Generator[Any, Any, Any]]


def echo(ws: Any) -> Generator[Any, Any, None]:
    while True:
        message = yield ws.recv()
        yield ws.send(message)


async def drive(script: Script, ws: Any) -> Any:
    """Run a script in a coroutine, and return what it returns."""
    steps = script(ws)
    result: Any = None
    error: Exception | None = None
    try:
        while True:
            result = steps.send(result) if error is None else steps.throw(error)
            error = None
            try:
                while inspect.isawaitable(result):
                    result = await result
            except Exception as caught:
                error = caught
    except StopIteration as end:
        return end.value


def drive_blocking(script: Script, ws: Any) -> Any:
    steps = script(ws)
    result: Any = None
    try:
        while True:
            result = steps.send(result)
    except StopIteration as end:
        return end.value


def single(error: BaseException) -> BaseException:
    """Take an exception out of the groups in which trio's nurseries wrap it."""
    while hasattr(error, "exceptions"):
        (error,) = error.exceptions
    return error


class Running:
    """A server in a thread of its own. `call` runs a function where the server lives, and returns its result."""

    def __init__(self, server: Any, call: Callable[[Callable[[], Any]], Any]) -> None:
        self.server = server
        self.call = call
        self.is_closed = False

    @property
    def port(self) -> int:
        return int(self.call(lambda: self.server.sockets[0].getsockname()[1]))

    @property
    def uri(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def connections(self) -> int:
        return int(self.call(lambda: len(self.server.connections)))

    def close(self, *args: Any) -> None:
        self.call(lambda: self.server.close(*args))
        self.is_closed = True


def calls_in(loop: asyncio.AbstractEventLoop) -> Callable[[Callable[[], Any]], Any]:
    """Make what runs a function in a loop of another thread, and returns its result."""

    async def do(function: Callable[[], Any]) -> Any:
        return function()

    def call(function: Callable[[], Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(do(function), loop).result(PATIENCE)

    return call


class ServerSubject(ABC):
    """The servers of one adapter."""

    name: str

    @contextmanager
    def serving(self, script: Script = echo, **kwargs: Any) -> Iterator[Running]:
        """Run a server; at the end close it, and fail if it has left anything."""
        ready: Queue[Running | BaseException] = Queue()
        faults: list[BaseException] = []

        def run() -> None:
            try:
                self._serve(script, ready, {"host": "127.0.0.1", "port": 0, **kwargs})
            except BaseException as error:
                faults.append(error)
                ready.put(error)

        thread = threading.Thread(target=run)
        thread.start()
        running = ready.get(timeout=PATIENCE)
        if isinstance(running, BaseException):
            thread.join(PATIENCE)
            raise running
        try:
            yield running
        finally:
            if not running.is_closed:
                running.close()
            thread.join(PATIENCE)
        assert not thread.is_alive(), "the server hangs"
        assert faults == []

    @abstractmethod
    def _serve(self, script: Script, ready: Queue[Any], kwargs: dict[str, Any]) -> None:
        """Serve until the server is closed."""

    @abstractmethod
    def sleep(self, seconds: float) -> Any:
        """Sleep, for scripts."""


class Subject(ServerSubject):
    """One adapter, with servers and clients."""

    adapter: Any

    @abstractmethod
    def start(self, script: Script, ws: Any) -> object:
        """Run another script beside the one that calls this. Gives what it has to keep."""

    @abstractmethod
    def talk(self, script: Script, uri: str, **kwargs: Any) -> Any:
        """Run a client, and return what its script returns."""


class Asyncio(Subject):
    name = "asyncio"
    adapter = wsproto_lite.adapters.asyncio

    def _serve(self, script: Script, ready: Queue[Any], kwargs: dict[str, Any]) -> None:
        async def main() -> None:
            async with self.adapter.serve(partial(drive, script), **kwargs) as server:
                ready.put(Running(server, calls_in(asyncio.get_running_loop())))
                await server.wait_closed()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    def sleep(self, seconds: float) -> Any:
        return asyncio.sleep(seconds)

    def start(self, script: Script, ws: Any) -> object:
        return asyncio.ensure_future(drive(script, ws))

    def talk(self, script: Script, uri: str, **kwargs: Any) -> Any:
        async def main() -> Any:
            async with self.adapter.connect(uri, **kwargs) as ws:
                result = await drive(script, ws)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return result

        return asyncio.run(main())


class Trio(Subject):
    name = "trio"
    adapter = wsproto_lite.adapters.trio

    def _serve(self, script: Script, ready: Queue[Any], kwargs: dict[str, Any]) -> None:
        async def main() -> None:
            token = trio.lowlevel.current_trio_token()

            def call(function: Callable[[], Any]) -> Any:
                return trio.from_thread.run_sync(function, trio_token=token)

            async with trio.open_nursery() as nursery:
                serve = partial(self.adapter.serve, partial(drive, script), **kwargs)
                server = await nursery.start(serve)
                ready.put(Running(server, call))

        try:
            trio.run(main)
        except BaseException as error:
            raise single(error) from None

    def sleep(self, seconds: float) -> Any:
        return trio.sleep(seconds)

    def start(self, script: Script, ws: Any) -> object:
        return trio.lowlevel.spawn_system_task(drive, script, ws)

    def talk(self, script: Script, uri: str, **kwargs: Any) -> Any:
        async def main() -> Any:
            async with self.adapter.connect(uri, **kwargs) as ws:
                return await drive(script, ws)

        return trio.run(main)


class Threads(Subject):
    name = "threads"
    adapter = wsproto_lite.adapters.threads

    def _serve(self, script: Script, ready: Queue[Any], kwargs: dict[str, Any]) -> None:
        with self.adapter.serve(partial(drive_blocking, script), **kwargs) as server:
            ready.put(Running(server, lambda function: function()))
            server.wait_closed()

    def sleep(self, seconds: float) -> Any:
        return time.sleep(seconds)

    def start(self, script: Script, ws: Any) -> object:
        thread = threading.Thread(target=drive_blocking, args=(script, ws))
        thread.start()
        return thread

    def talk(self, script: Script, uri: str, **kwargs: Any) -> Any:
        with self.adapter.connect(uri, **kwargs) as ws:
            return drive_blocking(script, ws)


SUBJECTS: dict[str, Subject] = {subject.name: subject for subject in (Asyncio(), Trio(), Threads())}
