"""The size of a picture is read from its first bytes, or is not known."""

from __future__ import annotations

import struct

import pytest

from services.context.pictures import size_of

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480)
GIF = b"GIF89a" + struct.pack("<HH", 320, 200)
WEBP = b"RIFF\0\0\0\0WEBP"
LOSSY = WEBP + b"VP8 " + b"\0" * 10 + struct.pack("<HH", 100, 50)
LOSSLESS = WEBP + b"VP8L" + b"\0" * 5 + struct.pack("<I", (99) | (49 << 14))
EXTENDED = WEBP + b"VP8X" + b"\0" * 8 + (99).to_bytes(3, "little") + (49).to_bytes(3, "little")
JPEG = b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"ab" + b"\xff\xc0" + struct.pack(">HBHH", 17, 8, 480, 640)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (PNG, (640, 480)),
        (GIF, (320, 200)),
        (LOSSY, (100, 50)),
        (LOSSLESS, (100, 50)),
        (EXTENDED, (100, 50)),
        (JPEG, (640, 480)),
        (b"", None),
        (b"BM....", None),
        (PNG[:20], None),
        (WEBP + b"VP8?", None),
        (JPEG[:-3], None),
        (b"\xff\xd8\x00", None),
        (PNG[:16] + b"\0" * 8, None),
    ],
)
def test_a_picture_says_its_size_or_does_not(data, size):
    assert size_of(data) == size
