"""The libraries that are measured, one module each. One that is not installed is told, not left out silently."""

from __future__ import annotations

from importlib import import_module

from .base import Candidate

OURS = "wsproto_lite"

MODULES = {
    OURS: ("with_ours", "Ours"),
    "wsproto": ("with_wsproto", "Wsproto"),
    "websockets": ("with_websockets", "Websockets"),
    "aiohttp": ("with_aiohttp", "Aiohttp"),
    "aiohttp reader": ("with_aiohttp", "AiohttpReader"),
    "picows": ("with_picows", "Picows"),
    "wsdatautil": ("with_wsdatautil", "WsDataUtil"),
}


def load() -> tuple[list[Candidate], dict[str, str]]:
    """Return the candidates that can be imported, and for each of the others the reason why not."""
    candidates: list[Candidate] = []
    missing: dict[str, str] = {}
    for name, (module, attribute) in MODULES.items():
        try:
            candidates.append(getattr(import_module(f".{module}", __name__), attribute)())
        except ImportError as error:
            missing[name] = str(error)
    return candidates, missing
