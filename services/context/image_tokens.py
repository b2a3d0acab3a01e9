"""What a picture costs by its size, as vendors document it. Pure.

    tiles     OpenAI's larger models: a base and a price per tile of 512 px, after scaling into 2,048 px with a short
              side of at most 768 px; detail "low" is the base alone
    patches   OpenAI's small models: one per 32 px square, at most 1,536, times a factor of the model
    area      Claude: one token per 750 px, after scaling to at most 1,568 px and 1.15 megapixels
    flat      Gemini: the same for each, by generation
    merged    models with vision transformers (Pixtral, Mistral, Qwen): a token per square of so many px

A picture whose size nobody knows, as only the provider fetches it, counts as one of 640 by 480 px.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, sqrt

_UNKNOWN = (640, 480)
Formula = Callable[[int, int, str], float]


@dataclass(frozen=True, slots=True)
class Picture:
    """Tokens of a picture. `most`: what none costs beyond."""

    formula: Formula
    most: int

    def tokens(self, size: tuple[int, int] | None, detail: str = "") -> tuple[int, int]:
        """(estimate, upper bound). A known size halves what we do not know, and no more: models of a family differ."""
        guess = round(self.formula(*(size or _UNKNOWN), detail))
        guess = min(guess, self.most)
        bound = self.most if size is None else min(self.most, 2 * guess + _SLACK)
        return guess, bound


_SLACK = 512


def tiles(base: int, tile: int) -> Formula:
    """OpenAI: gpt-4o, gpt-4.1, gpt-5, o1, o3."""

    def tokens(width: int, height: int, detail: str) -> float:
        if detail == "low":
            return base
        scale = min(1.0, _LONG / max(width, height))
        width, height = round(width * scale), round(height * scale)
        scale = min(1.0, _SHORT / min(width, height))
        return base + tile * ceil(width * scale / _TILE) * ceil(height * scale / _TILE)

    return tokens


_LONG, _SHORT, _TILE = 2_048, 768, 512


def patches(factor: float) -> Formula:
    """OpenAI: gpt-4.1-mini and -nano, gpt-5-mini and -nano, o4-mini."""

    def tokens(width: int, height: int, detail: str) -> float:
        if detail == "low":
            width, height = min(width, _LOW), min(height, _LOW)
        count = ceil(width / _PATCH) * ceil(height / _PATCH)
        if count > _MOST_PATCHES:
            # Scaled so that the patches fit, and then so that they are whole along one side.
            scale = sqrt(_MOST_PATCHES / (width * height))
            columns, rows = width * scale, height * scale
            whole = min(max(1, int(columns)) / columns, max(1, int(rows)) / rows)
            count = min(_MOST_PATCHES, max(1, round(columns * whole)) * max(1, round(rows * whole)))
        return factor * count

    return tokens


_PATCH, _MOST_PATCHES, _LOW = 32, 1_536, 512


def area(width: int, height: int, detail: str) -> float:  # noqa: ARG001 - a Formula
    """Claude."""
    scale = min(1.0, _CLAUDE_LONG / max(width, height), sqrt(_CLAUDE_AREA / (width * height)))
    return width * height * scale**2 / _PER_TOKEN


_CLAUDE_LONG, _CLAUDE_AREA, _PER_TOKEN = 1_568, 1_150_000, 750


def flat(amount: int) -> Formula:
    """Gemini."""
    return lambda width, height, detail: amount  # noqa: ARG005 - a Formula


def merged(square: int, longest: int) -> Formula:
    """Pixtral, Mistral, Qwen: a token per square of so many px, scaled to a longest side, and one to end each row."""

    def tokens(width: int, height: int, detail: str) -> float:  # noqa: ARG001 - a Formula
        scale = min(1.0, longest / max(width, height))
        columns, rows = ceil(width * scale / square), ceil(height * scale / square)
        return (columns + 1) * rows

    return tokens
