"""Unit tests of the context service."""
