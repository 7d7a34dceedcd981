"""Inflate as RFC 1951 has it, slowly, and tell how far its back-references reach. Knows nothing of the library."""

from __future__ import annotations

LENGTHS = [(3 + i, 0) for i in range(8)]
for _extra in range(1, 6):
    LENGTHS += [(3 + (4 << _extra) + (i << _extra), _extra) for i in range(4)]
LENGTHS[28:] = [(258, 0)]

DISTANCES = [(1 + i, 0) for i in range(4)]
for _extra in range(1, 14):
    DISTANCES += [(1 + (2 << _extra) + (i << _extra), _extra) for i in range(2)]

CODE_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
END_OF_BLOCK = 256

Code = dict[tuple[int, int], int]
"""Symbols by length and bits of their codes."""


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> int:
        value = 0
        for i in range(count):
            value |= (self.data[self.position >> 3] >> (self.position & 7) & 1) << i
            self.position += 1
        return value

    def take_symbol(self, code: Code) -> int:
        bits = 0
        for length in range(1, 16):
            bits = bits << 1 | self.take(1)
            if (length, bits) in code:
                return code[length, bits]
        raise AssertionError("no such code")

    def take_bytes(self, count: int) -> bytes:
        start = (self.position + 7) >> 3
        self.position = (start + count) << 3
        assert start + count <= len(self.data)
        return self.data[start : start + count]


def _code(lengths: list[int]) -> Code:
    """Number the codes (RFC 1951 section 3.2.2)."""
    code = {}
    bits = 0
    for length in range(1, 16):
        for symbol, its_length in enumerate(lengths):
            if its_length == length:
                code[length, bits] = symbol
                bits += 1
        bits <<= 1
    return code


FIXED = (_code([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), _code([5] * 30))


def _dynamic(bits: _Bits) -> tuple[Code, Code]:
    """Read a block's codes (RFC 1951 section 3.2.7)."""
    literals, distances, count = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    code_lengths = [0] * 19
    for symbol in CODE_LENGTH_ORDER[:count]:
        code_lengths[symbol] = bits.take(3)
    code = _code(code_lengths)
    lengths: list[int] = []
    while len(lengths) < literals + distances:
        symbol = bits.take_symbol(code)
        if symbol < 16:
            lengths.append(symbol)
        elif symbol == 16:
            lengths += lengths[-1:] * (3 + bits.take(2))
        elif symbol == 17:
            lengths += [0] * (3 + bits.take(3))
        else:
            lengths += [0] * (11 + bits.take(7))
    return _code(lengths[:literals]), _code(lengths[literals:])


def inflate(data: bytes, history: bytes = b"") -> tuple[bytes, int]:
    """Inflate raw deflate data that ends at the end of a block, final or not.

    Returns the output less `history`, which back-references may reach, and the farthest distance in it.
    """
    bits = _Bits(data)
    output = bytearray(history)
    farthest = 0
    while bits.position + 7 < len(data) * 8:
        is_final, kind = bits.take(1), bits.take(2)
        if kind == 0:
            sizes = bits.take_bytes(4)
            size = int.from_bytes(sizes[:2], "little")
            assert size ^ 0xFFFF == int.from_bytes(sizes[2:], "little")
            output += bits.take_bytes(size)
        else:
            farthest = max(farthest, _compressed_block(bits, FIXED if kind == 1 else _dynamic(bits), output))
        if is_final:
            bits.take_bytes(0)
    return bytes(output[len(history) :]), farthest


def _compressed_block(bits: _Bits, codes: tuple[Code, Code], output: bytearray) -> int:
    farthest = 0
    while True:
        symbol = bits.take_symbol(codes[0])
        if symbol < END_OF_BLOCK:
            output.append(symbol)
        elif symbol == END_OF_BLOCK:
            return farthest
        else:
            base, extra = LENGTHS[symbol - END_OF_BLOCK - 1]
            length = base + bits.take(extra)
            base, extra = DISTANCES[bits.take_symbol(codes[1])]
            distance = base + bits.take(extra)
            assert distance <= len(output)
            farthest = max(farthest, distance)
            for _ in range(length):
                output.append(output[-distance])
