"""Sections 5.3 and 10.3 of RFC 6455: each masking key is used once, and comes from the source as it is."""

from __future__ import annotations

import itertools

import pytest

from wsproto_lite import masking_keys
from wsproto_lite.errors import LocalProtocolError
from wsproto_lite.masking_keys import MaskingKeys


def test_order() -> None:
    """Keys come in the order drawn, in batches."""
    numbers = itertools.count()
    asked = []

    def source(size: int) -> bytes:
        asked.append(size)
        return b"".join(next(numbers).to_bytes(4, "big") for _ in range(size // 4))

    keys = MaskingKeys(source)
    assert [int.from_bytes(keys.draw(), "big") for _ in range(600)] == list(range(600))
    assert asked == [MaskingKeys.BATCH] * 3


def test_forget() -> None:
    keys = MaskingKeys(lambda size: bytes(range(256)) * (size // 256))
    assert keys.draw() == bytes([0, 1, 2, 3])
    keys.clear()
    assert keys.draw() == bytes([0, 1, 2, 3])


def test_fork_forgets() -> None:
    """What the hook does in the child."""
    keys = MaskingKeys(bytes)
    keys.draw()
    assert keys.batch
    masking_keys._forget_keys()
    assert keys.batch == []


@pytest.mark.parametrize("size", [0, 1, 3, 1023, 1025])
def test_wrong_amount(size: int) -> None:
    keys = MaskingKeys(lambda _: bytes(size))
    with pytest.raises(LocalProtocolError, match=rf"random_bytes\(1024\) returned {size} bytes"):
        keys.draw()


def test_another_amount_will_do() -> None:
    """As long as it is whole keys."""
    assert MaskingKeys(lambda _: b"abcdefgh").draw() == b"abcd"
