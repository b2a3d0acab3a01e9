"""The generated pages say what the code says."""

from __future__ import annotations

import pytest

from tools.docs import DOCS, pages


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_current(name: str):
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"
