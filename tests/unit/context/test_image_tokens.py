"""Pictures cost what their vendors document."""

from __future__ import annotations

import pytest

from services.context.image_tokens import Picture, area, flat, merged, patches, tiles


@pytest.mark.parametrize(
    ("formula", "size", "detail", "tokens"),
    [
        (tiles(85, 170), (1_024, 1_024), "", 765),
        (tiles(85, 170), (2_048, 4_096), "high", 1_105),
        (tiles(85, 170), (4_096, 8_192), "low", 85),
        (tiles(85, 170), (128, 128), "", 255),
        (patches(1.0), (1_024, 1_024), "", 1_024),
        (patches(1.0), (1_800, 2_400), "", 1_452),
        (patches(1.62), (16, 16), "", 2),
        (patches(1.0), (4_096, 4_096), "low", 256),
        (area, (200, 200), "", 53),
        (area, (1_000, 1_000), "", 1_333),
        (area, (8_000, 8_000), "", 1_533),
        (flat(258), (3_000, 10), "", 258),
        (merged(28, 1_540), (128, 128), "", 30),
    ],
)
def test_a_picture_of_a_known_size(formula, size, detail, tokens):
    assert Picture(formula, 5_000).tokens(size, detail)[0] == tokens


def test_the_bound_of_a_known_size_is_nearer_than_that_of_an_unknown_one():
    picture = Picture(area, 5_000)
    assert picture.tokens((200, 200))[1] < picture.tokens(None)[1] == 5_000
    assert picture.tokens(None)[0] == 410
    assert Picture(flat(9_000), 5_000).tokens((1, 1)) == (5_000, 5_000)
