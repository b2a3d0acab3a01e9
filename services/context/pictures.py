"""How large a picture is, from the first bytes of its file. Pure; decodes nothing."""

from __future__ import annotations

import struct

_PNG, _GIF, _RIFF, _WEBP, _JPEG = b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"WEBP", b"\xff\xd8"
# Segments of a JPEG that carry its size are SOF0 to SOF15 without DHT, JPG and DAC.
_NO_FRAMES = frozenset({0xC4, 0xC8, 0xCC})


def size_of(data: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels of a PNG, GIF, WebP or JPEG; None where the bytes do not say."""
    try:
        found = _read(data)
    except (struct.error, IndexError):
        return None
    return found if found is not None and min(found) > 0 else None


def _read(data: bytes) -> tuple[int, int] | None:
    if data.startswith(_PNG):
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data.startswith(_GIF):
        width, height = struct.unpack("<HH", data[6:10])
        return width, height
    if data.startswith(_RIFF) and data[8:12] == _WEBP:
        return _webp(data)
    return _jpeg(data) if data.startswith(_JPEG) else None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at] == 0xFF:
        kind = data[at + 1]
        if 0xC0 <= kind <= 0xCF and kind not in _NO_FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        at += 2 + length
    return None
