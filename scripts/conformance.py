"""Run the Autobahn Testsuite against our asyncio server and client, and write docs/conformance.md.

    python scripts/conformance.py            all 517 cases, about 10 minutes
    python scripts/conformance.py --sample   cases 1 to 10, and some of 12 and 13 (compression): about a minute

Exits with 1 unless every case is OK or INFORMATIONAL, its close included. The testsuite needs Python 2.7, and is
installed into .venv-autobahn.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from wsproto_lite import ConnectionClosed, PerMessageDeflate, Settings
from wsproto_lite.adapters.asyncio import WebSocket, connect, serve

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-autobahn"
WSTEST = VENV / "bin" / "wstest"
PLAIN = [f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
ALL = [*PLAIN, "12.*", "13.*"]
# The same work with every kind of content (12.1 to 12.5) and every window (13.1 to 13.7), in few sizes.
SAMPLE = [*PLAIN, *(f"12.{kind}.{size}" for kind in range(1, 6) for size in (1, 9))]
SAMPLE += [f"13.{window}.{size}" for window in range(1, 8) for size in (5,)]
COUNTS = {"all": 517, "sample": 318}
GOOD = {"OK", "INFORMATIONAL"}

# Group 9 has messages of 16 MiB, and one of 65,536 fragments. All other limits are the defaults.
SETTINGS = Settings(max_message_size=32 << 20, max_fragments=70_000, extensions=(PerMessageDeflate(),))

HOST = "127.0.0.1"

Results = dict[str, dict[str, str]]


def find_python_2() -> str:
    """Return a Python 2.7, or exit with a word on how to get one."""
    found = shutil.which("python2.7")
    if found and is_python_2(found):
        return found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for root in (pyenv, Path("/opt/pyenv"), *(Path(path).parent for path in os.get_exec_path() if "shims" in path)):
        for candidate in sorted(root.glob("versions/2.7*/bin/python2.7")):
            if is_python_2(str(candidate)):
                return str(candidate)
    sys.exit("the Autobahn Testsuite needs Python 2.7, which is not here: `pyenv install 2.7.18` gets it")


def is_python_2(program: str) -> bool:
    """Tell whether a program says that it is Python 2.7: a name proves nothing, and a shim may have nothing behind."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    # Python 2.7 says so on standard error.
    return answer.returncode == 0 and (answer.stdout + answer.stderr).startswith("Python 2.7.")


def install() -> None:
    """Put the testsuite into VENV, unless it is there."""
    if WSTEST.exists():
        return
    python_2 = find_python_2()
    with tempfile.TemporaryDirectory() as tools:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", tools, "virtualenv<20.22"]
        subprocess.run(pip, check=True)
        virtualenv = [sys.executable, "-m", "virtualenv", "--quiet", "--python", python_2, str(VENV)]
        subprocess.run(virtualenv, check=True, env={**os.environ, "PYTHONPATH": tools})
    subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "autobahntestsuite==0.8.2"], check=True)


async def wstest(mode: str, spec: dict[str, object], folder: Path) -> asyncio.subprocess.Process:
    """Start the testsuite, with its output in `folder`."""
    path = folder / f"{mode}.json"
    path.write_text(json.dumps({**spec, "outdir": str(folder / mode), "exclude-cases": [], "exclude-agent-cases": {}}))
    with (folder / f"{mode}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            str(WSTEST), "--mode", mode, "--spec", str(path), stdout=log, stderr=log, cwd=folder
        )


async def echo(websocket: WebSocket) -> None:
    async for message in websocket:
        await websocket.send(message)


async def run_server(cases: list[str], folder: Path) -> Results:
    """Let the testsuite's client work on our server."""
    async with serve(echo, HOST, 0, settings=SETTINGS) as server:
        port = server.sockets[0].getsockname()[1]
        spec = {"servers": [{"agent": "server", "url": f"ws://{HOST}:{port}"}], "cases": cases}
        process = await wstest("fuzzingclient", spec, folder)
        if await process.wait():
            sys.exit((folder / "fuzzingclient.log").read_text())
    return read(folder / "fuzzingclient", "server")


async def run_client(cases: list[str], folder: Path) -> Results:
    """Let our client work on the testsuite's server."""
    uri = f"ws://{HOST}:{free_port()}"
    process = await wstest("fuzzingserver", {"url": uri, "cases": cases}, folder)
    try:
        count = int(await ask_count(uri))
        for case in range(1, count + 1):
            show_progress(case, count)
            async with connect(f"{uri}/runCase?case={case}&agent=client", settings=SETTINGS) as websocket:
                await echo_until_the_end(websocket)
        async with connect(f"{uri}/updateReports?agent=client", settings=SETTINGS) as websocket:
            await echo_until_the_end(websocket)
    finally:
        process.terminate()
        await process.wait()
    return read(folder / "fuzzingserver", "client")


def show_progress(case: int, count: int) -> None:
    if sys.stdout.isatty():
        print(f"\rclient: case {case} of {count}", end="\n" if case == count else "", flush=True)
    elif case % 50 == 0 or case == count:
        print(f"client: case {case} of {count}", flush=True)


async def ask_count(uri: str) -> str:
    """Ask for the number of cases, as soon as the server listens."""
    for _ in range(100):
        try:
            async with connect(f"{uri}/getCaseCount", settings=SETTINGS) as websocket:
                return str(await websocket.recv())
        except OSError:
            await asyncio.sleep(0.1)
    sys.exit("the testsuite's server does not start")


async def echo_until_the_end(websocket: WebSocket) -> None:
    # Many cases end in a failure, and that is what the report judges.
    with contextlib.suppress(ConnectionClosed):
        await echo(websocket)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def read(folder: Path, agent: str) -> Results:
    results: Results = json.loads((folder / "index.json").read_text())[agent]
    return results


def failures(results: Results) -> list[str]:
    return [case for case, result in results.items() if {result["behavior"], result["behaviorClose"]} - GOOD]


def report(tables: dict[str, Results]) -> str:
    """Make the page of a full run."""
    lines = [
        "# Conformance",
        "",
        "What the Autobahn Testsuite 0.8.2 says of the asyncio server and client, all of its cases with a close of",
        "OK or INFORMATIONAL. `make conformance` runs it and writes this page.",
        "",
        "| group | " + " | ".join(tables) + " |",
        "|---|" + "---|" * len(tables),
    ]
    groups = sorted({case.split(".")[0] for results in tables.values() for case in results}, key=int)
    for group in groups:
        cells = [count(results, f"{group}.") for results in tables.values()]
        lines.append(f"| {group}.* | " + " | ".join(cells) + " |")
    lines.append("| all | " + " | ".join(count(results, "") for results in tables.values()) + " |")
    lines += [
        "",
        "Settings: messages up to 32 MiB and 70,000 fragments, as group 9 asks for, and permessage-deflate.",
        "All else is the default.",
        "The testsuite does not judge the negotiation of RFC 7692; tests/test_permessage_deflate.py and",
        "tests/test_rfc7692_negotiation.py do.",
    ]
    return "\n".join(lines) + "\n"


def count(results: Results, prefix: str) -> str:
    counts = collections.Counter(result["behavior"] for case, result in results.items() if case.startswith(prefix))
    return ", ".join(f"{number} {behavior}" for behavior, number in sorted(counts.items(), reverse=True))


async def run(cases: list[str], folder: Path) -> dict[str, Results]:
    server, client = await asyncio.gather(run_server(cases, folder), run_client(cases, folder))
    return {"server": server, "client": client}


def main() -> int:
    parser = argparse.ArgumentParser(description="run the Autobahn Testsuite")
    parser.add_argument("--sample", action="store_true", help="fewer of the compression cases, and no page")
    arguments = parser.parse_args()
    install()
    expected = COUNTS["sample" if arguments.sample else "all"]
    with tempfile.TemporaryDirectory() as folder:
        tables = asyncio.run(run(SAMPLE if arguments.sample else ALL, Path(folder)))
    bad = False
    for agent, results in tables.items():
        failed = failures(results)
        print(f"{agent}: {len(results)} cases, {count(results, '')}; failed: {', '.join(failed) or 'none'}")
        bad = bad or bool(failed) or len(results) != expected
        if len(results) != expected:
            print(f"{agent}: {len(results)} cases ran; {expected} should have")
    if not bad and not arguments.sample:
        (ROOT / "docs" / "conformance.md").write_text(report(tables))
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
