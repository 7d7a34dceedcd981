"""Imports point one way, and only adapters and the command line do I/O: read from the sources, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import wsproto_lite

ROOT = Path(wsproto_lite.__file__).parent

# From top to bottom: a module imports from the layers below its own, and from its own only where that is one group.
LAYERS: list[list[str]] = [
    ["__init__"],
    ["__main__"],
    ["cli"],
    ["_cli_*"],
    ["demo"],
    ["conversation"],
    ["judge"],
    ["seen_handshake"],
    ["adapters.*", "compat.*", "testing", "dissect", "sections", "tcp"],
    ["capture", "hextext"],
    ["heartbeat"],
    ["connection"],
    ["http11", "messages", "sending"],
    ["assembly"],
    ["handshake"],
    ["handshake_*"],
    ["flow", "frames"],
    ["closing"],
    ["settings"],
    ["extensions"],
    ["deflate", "extension_header"],
    ["inflate"],
    ["headers"],
    ["codec"],
    ["masking_keys"],
    ["events"],
    ["errors"],
    ["constants"],
    ["_codec"],
]
GROUPS = ("_cli_*", "adapters.*", "compat.*", "handshake_*")

# What the core must not know of: I/O, scheduling, and time.
FORBIDDEN = {"socket", "asyncio", "trio", "anyio", "threading", "time", "ssl", "select", "selectors", "subprocess"}
OUTSIDE_THE_CORE = ("adapters.", "cli", "_cli_", "demo", "__main__")


def module_names() -> list[str]:
    """Name every module of the package, relative to it."""
    paths = (path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("*.py"))
    return sorted(".".join(path.parts) for path in paths)


def imports(module: str) -> Iterator[tuple[str, str]]:
    """Give what a module imports, ("wsproto_lite" or another package, name of the module in it)."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    package = module.split(".")[:-1]
    for node in executed(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield split(alias.name)
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield split(node.module or "")
                continue
            base = package[: len(package) - node.level + 1]
            inside = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                yield "wsproto_lite", existing(".".join(inside), alias.name)


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree but for what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from executed(node)


def split(name: str) -> tuple[str, str]:
    """Take a full name apart."""
    first, _, rest = name.partition(".")
    return (first, existing(rest, "")) if first == "wsproto_lite" else (first, rest)


def existing(inside: str, name: str) -> str:
    """Tell which module `from inside import name` reads: `name` may be one, or something in one."""
    candidate = f"{inside}.{name}".strip(".")
    for path in (candidate, inside):
        at = ROOT.joinpath(*path.split(".")) if path else ROOT
        if at.with_suffix(".py").exists() or at.with_suffix(".pyi").exists():
            return path
        if (at / "__init__.py").exists():
            return f"{path}.__init__".strip(".")
    raise AssertionError(f"no module {candidate}")


def layer_of(module: str) -> int:
    """Give the index of a module's layer."""
    for index, layer in enumerate(LAYERS):
        if module in layer or any(each.endswith("*") and module.startswith(each[:-1]) for each in layer):
            return index
    raise AssertionError(f"{module} is in no layer: say where it belongs")


def in_one_group(module: str, other: str) -> bool:
    return any(module.startswith(group[:-1]) and other.startswith(group[:-1]) for group in GROUPS)


@pytest.mark.parametrize("module", module_names())
def test_imports_point_down(module: str) -> None:
    for package, other in imports(module):
        if package == "wsproto_lite" and not in_one_group(module, other):
            assert layer_of(module) < layer_of(other), f"{module} imports {other}"


def test_no_cycles() -> None:
    """Not even within a group."""
    wanted = {
        module: {other for package, other in imports(module) if package == "wsproto_lite"} for module in module_names()
    }
    wanted["_codec"] = set()
    while wanted:
        free = {module for module, others in wanted.items() if not others & wanted.keys()}
        assert free, f"a cycle among {sorted(wanted)}"
        for module in free:
            del wanted[module]


@pytest.mark.parametrize("module", [name for name in module_names() if not name.startswith(OUTSIDE_THE_CORE)])
def test_core_does_no_io(module: str) -> None:
    """The core never imports socket, asyncio, trio, threading, time or ssl."""
    assert FORBIDDEN & {package for package, _ in imports(module)} == set()


def test_only_codec_touches_ffi() -> None:
    users = [name for name in module_names() if ("wsproto_lite", "_codec") in set(imports(name))]
    assert users == ["codec"]
    assert [name for name in module_names() if "cffi" in {package for package, _ in imports(name)}] == []


def test_of_the_core_only_http11_knows_h11() -> None:
    users = [name for name in module_names() if "h11" in {package for package, _ in imports(name)}]
    assert [name for name in users if not name.startswith(("adapters.", "compat."))] == ["http11"]


def test_runtime_dependencies() -> None:
    """Cffi, behind the compiled module, and h11; zlib is the standard library's."""
    third_party = {"h11", "trio", "uvicorn", "wsproto", "isal", "zlib_ng", "cffi", "websockets", "aiohttp", "rich"}
    for module in module_names():
        if not module.startswith(OUTSIDE_THE_CORE):
            assert third_party & {package for package, _ in imports(module)} <= {"h11"}, module
