"""Write the cases of test_codec.c: streams of frames, and what the slow codec makes of them.

python tests/c/make_cases.py > cases.inc
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import slow_codec

KEY = bytes.fromhex("37fa213d")
LIMITS = ("max_frame_size", "max_message_size", "max_encoded_size", "max_fragments")
SEED = 6455

Case = tuple[bytes, dict[str, Any]]


def pairs() -> Iterator[Case]:
    """Give the first two bytes: every first byte, every kind of length, both directions."""
    for masked, first, second in itertools.product(
        (False, True), range(256), (0, 1, 125, 126, 127, 128, 253, 254, 255)
    ):
        yield bytes([first, second]), {"masked": masked, "reserved_bits": 0x40 if first % 3 else 0}


def lengths() -> Iterator[Case]:
    """Give every form of the lengths around which the form changes, and some that no memory holds."""
    for length, extended, key in itertools.product(
        (0, 1, 125, 126, 127, 65535, 65536, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1), (0, 2, 8), (None, KEY)
    ):
        if length <= {0: 125, 2: 65535, 8: 2**64}[extended]:
            data = slow_codec.header(0x82, length, key, extended) + bytes(range(min(length, 9)))
            yield data, {"masked": key is not None}
            yield data, {"masked": key is not None, "max_frame_size": 126}
            yield data, {"masked": key is not None, "max_message_size": 65535}


TEXTS = [
    "κόσμε€😀".encode(),
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"abc\xc0\xaf",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"plain",
    b"",
]


def random_streams(count: int) -> Iterator[Case]:
    """Give messages in fragments, control frames between them, and damage."""
    rng = random.Random(SEED)
    for _ in range(count):
        masked = rng.random() < 0.5
        data = b""
        for _ in range(rng.randrange(1, 5)):
            payload = rng.choice([*TEXTS, rng.randbytes(rng.choice([1, 8, 125, 126, 130]))])
            opcode = rng.choice([1, 2, 0x41, 0x42])
            ends = sorted(rng.choices(range(len(payload) + 1), k=rng.randrange(3)))
            for start, end in zip([0, *ends], [*ends, len(payload)]):
                first = (opcode if start == 0 else 0) | (0x80 if end == len(payload) else 0)
                data += slow_codec.frame(first, payload[start:end], rng.randbytes(4) if masked else None)
                if rng.random() < 0.2:
                    control = slow_codec.frame(rng.choice([0x88, 0x89, 0x8A]), b"!?", KEY if masked else None)
                    data += control
        if rng.random() < 0.3:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        if rng.random() < 0.3:
            data = data[: rng.randrange(len(data)) + 1]
        limits = {name: rng.choice([None, None, 0, 1, 4, 9, 130]) for name in LIMITS}
        yield data, {"masked": masked, "reserved_bits": rng.choice([0, 0x40, 0x70]), **limits}


def string(data: bytes) -> str:
    """Give a C string literal."""
    return '"' + "".join(f"\\{byte:03o}" for byte in data) + '"'


def write(data: bytes, asked: dict[str, Any]) -> str:
    """Give one initialiser of a test_case."""
    frames, fault = slow_codec.decode(data, **asked)
    expected = b"".join(
        bytes([each.first, each.whole]) + len(each.payload).to_bytes(2, "big") + each.payload for each in frames
    )
    limits = ", ".join("UINT64_MAX" if asked.get(name) is None else str(asked[name]) for name in LIMITS)
    rules = f"{{{limits}, {asked.get('reserved_bits', 0)}, {str(asked['masked']).lower()}, false, true}}"
    status = f"WSL_{fault.name.upper()}" if fault else "WSL_DONE"
    return f"{{{rules}, {string(data)}, {len(data)}, {string(expected)}, {len(expected)}, {status}}},"


def main() -> None:
    """Write them all."""
    for data, asked in itertools.chain(pairs(), lengths(), random_streams(1500)):
        print(write(data, asked))


if __name__ == "__main__":
    main()
