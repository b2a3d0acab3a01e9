"""Two books are compared model by model, and a difference is named."""

from __future__ import annotations

from services.cli.books import Book, differences


def test_equal_books_have_no_differences():
    book = {"m": Book(3, 30, 12, 99)}
    assert differences(book, dict(book)) == []


def test_a_missing_model_and_a_nanodollar_are_both_told():
    ours = {"a": Book(1, 2, 3, 4), "b": Book(1, 1, 1, 1)}
    theirs = {"a": Book(1, 2, 3, 5), "c": Book(1, 1, 1, 1)}
    assert [line.split(":")[0] for line in differences(ours, theirs)] == ["a", "b", "c"]
