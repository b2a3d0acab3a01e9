"""Append-only books: a JSON line and an SQLite row for each record, written off the hot path. Knows no service."""
