"""Bytes as people and tools write them."""

from __future__ import annotations

import pytest

from wsproto_lite import LocalProtocolError
from wsproto_lite.hextext import MAX_TOKEN, HexReader, from_hex

MASKED = bytes.fromhex("818537fa213d7f9f4d5158")
SIXTEEN = bytes(range(0x30, 0x40))

TEXTS = {
    "nothing": ("", b""),
    "digits": ("818537fa213d7f9f4d5158", MASKED),
    "upper_case": ("818537FA213D7F9F4D5158", MASKED),
    "spaces": ("81 85\t37fa213d \n 7f 9f4d5158\n", MASKED),
    "commas": ("0x81, 0x85, 0x37,0xfa,0x21,0x3D,0X7F,0x9f,0x4d,0x51,0x58,", MASKED),
    "colons": ("81:85:37:fa:21:3d:7f:9f:4d:51:58", MASKED),
    "comments": ("# a frame: 81\n81 85 # header\r\n37fa213d# key\n7f9f4d5158 #", MASKED),
    "xxd": ("00000000: 8185 37fa 213d 7f9f 4d51 58              ..7.!=..MQX\n", MASKED),
    "xxd_full_lines": (
        f"00000000: {SIXTEEN.hex(' ', 2)}  0123456789:;<=>?\n00000010: 8185                                     ..\n",
        SIXTEEN + b"\x81\x85",
    ),
    "hexdump": (
        "00000000  81 85 37 fa 21 3d 7f 9f  4d 51 58                 |..7.!=..MQX|\n0000000b\n",
        MASKED,
    ),
    "hexdump_full_line": (
        "00000000  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|\n00000010",
        SIXTEEN,
    ),
    "four_bytes_are_no_offset": ("37fa213d  7f9f4d5158", MASKED[2:]),
    "four_zeros_are_no_offset": ("00000000 01\n00000000\n", b"\0\0\0\0\x01\0\0\0\0"),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_from_hex(text: str, expected: bytes) -> None:
    assert from_hex(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("81 0g", "line 1 has '0g'"),
        ("81 05\n48 6", "line 2 has '6'"),
        ("*\n", "line 1 has '*'"),
        ("\n\n# c\nhello", "line 4 has 'hello'"),
        ("8" * 100 + "x", "line 1 has '8888888888888888888888888888888888888888'"),
    ],
    ids=["no_digit", "half_a_byte", "lines_left_out", "text", "cut"],
)
def test_not_hexadecimal(text: str, message: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        from_hex(text)
    assert str(caught.value) == f"{message}, which is not bytes in hexadecimal"


def test_lines_in_parts() -> None:
    """What is cut within a byte or a comment is put together."""
    reader = HexReader()
    parts = ["8", "1 8", "5 # 00 ", "00", " 00\n", "# 11", "11\n3", "7"]
    lines = [piece for part in parts for piece in part.splitlines(keepends=True)]
    assert b"".join(map(reader.feed, lines)) + reader.finish() == b"\x81\x85\x37"


def test_line_without_spaces() -> None:
    """It is not kept to its end."""
    reader = HexReader()
    size = MAX_TOKEN + 1
    assert reader.feed("8" * size) == b"\x88" * (size // 2)
    assert reader.feed("1\n") == b"\x81"
