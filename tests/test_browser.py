"""The demo page in headless Chromium: typing, the echo, the frames beside it, the close code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from browser_fixtures import browser as browser  # a fixture
from processes import program


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with program("-m", "wsproto_lite", "serve", "--port", "0") as (process, url):
        yield url
        process.terminate()
        assert process.communicate()[1] == ""


@pytest.fixture
def page(url: str, browser: Any) -> Iterator[Any]:
    faults: list[str] = []
    page = browser.new_page()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: faults.append(request.url) if not request.url.startswith(url) else None)
    page.goto(url)
    page.locator("#status[data-state=open]").wait_for()
    yield page
    page.close()
    assert faults == [], "nothing is loaded from elsewhere, and the page has nothing to complain about"


def row(page: Any, sender: str, frame: str) -> Any:
    """Wait for the latest row from that side with such a frame in it."""
    found = page.locator(f"#log > li.{sender}", has=page.locator(".frame .bits", has_text=frame)).first
    found.wait_for()
    return found


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_text(page: Any) -> None:
    page.fill("#text", "h\u00e9llo")
    page.press("#text", "Enter")
    echo = row(page, "received", "opcode 1 text")
    assert "server \u2192 you, text h\u00e9llo" in squeezed(echo.inner_text())
    sent = row(page, "sent", "opcode 1 text")
    assert "you \u2192 server, text h\u00e9llo" in squeezed(sent.inner_text())
    assert sent.locator(".h-key").count() == 1, "a client masks"
    assert echo.locator(".h-key").count() == 0, "a server does not"


def test_binary(page: Any) -> None:
    page.select_option("#kind", "binary")
    page.fill("#text", "AB")
    page.click("#send")
    assert "41 42" in row(page, "received", "opcode 2 binary").inner_text()


def test_close(page: Any) -> None:
    page.click("#close")
    page.locator("#status[data-state=closed]").wait_for()
    assert page.inner_text("#status").endswith("closed 1000")
    assert "code 1000: until next time" in row(page, "sent", "opcode 8 close").inner_text()
    assert "03 e8" in row(page, "received", "opcode 8 close").inner_text()
    assert page.locator("#send").is_disabled()
    page.click("#connect")
    page.locator("#status[data-state=open]").wait_for()
    page.click("#send")
    row(page, "received", "opcode 1 text")


def test_largest_message_and_one_over(page: Any) -> None:
    page.click("[data-size='1048576']")
    assert "1,048,576 bytes" in row(page, "received", "opcode 1 text").inner_text()
    page.click("[data-size='1048577']")
    page.locator("#status[data-state=closed]").wait_for()
    assert page.inner_text("#status").endswith("closed 1009")
    assert page.locator("#log > li.end.clean").count() == 1


def test_narrow_screen(page: Any) -> None:
    """Nothing sticks out."""
    page.set_viewport_size({"width": 360, "height": 700})
    page.click("[data-size='126']")
    row(page, "received", "opcode 1 text")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
