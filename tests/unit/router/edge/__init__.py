"""Tests of the HTTP edge, file by file."""
