"""Entries in one SQLite file, written ahead (WAL), so that a killed process leaves the last complete state.

A file that is corrupt, or that another schema version wrote, is set aside as *.broken-<time>, and a new one begun.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError

from omnisphere.cache.v1.cache_service_pb2 import CachedReply
from services.cache import fingerprint as fingerprints
from services.cache.entry import Entry, Moment, Vectors, is_over
from services.cache.fingerprint import Fingerprint
from services.cache.storage import Learned, StorageFailed
from services.chassis.clock import Clock
from services.chassis.logs import Log

_SCHEMA_VERSION = 3
# Rows of other layouts of the canonical bytes are never found, so they are not loaded.
_ROW_FORMAT = fingerprints.FORMAT
_CREATE = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL UNIQUE, format INTEGER NOT NULL,
    entry_id TEXT NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL, tags TEXT NOT NULL,
    stored_at REAL NOT NULL, expires_at REAL NOT NULL, canonical BLOB NOT NULL, reply BLOB NOT NULL
)
"""
# Apart: a start with a snapshot of the vectors reads a third of the file.
_CREATE_VECTORS = """
CREATE TABLE IF NOT EXISTS vectors (number INTEGER PRIMARY KEY, model_hash TEXT NOT NULL, vector BLOB NOT NULL)
"""
_CREATE_TRIGGER = """
CREATE TRIGGER IF NOT EXISTS gone AFTER DELETE ON entries BEGIN DELETE FROM vectors WHERE number = old.number; END
"""
_CREATE_LEARNED = """
CREATE TABLE IF NOT EXISTS learned (
    kind TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID
"""
_LEARN = "INSERT OR REPLACE INTO learned (kind, key, value) VALUES (?, ?, ?)"
_SELECT = """
SELECT number, format, fingerprint, tenant, model, tags, stored_at, expires_at, canonical, reply,
    CASE WHEN number > ?1 THEN (SELECT model_hash FROM vectors WHERE vectors.number = entries.number) END,
    CASE WHEN number > ?1 THEN (SELECT vector FROM vectors WHERE vectors.number = entries.number) END
FROM entries ORDER BY number DESC
"""
_PUT = """
INSERT OR REPLACE INTO entries
(format, fingerprint, entry_id, tenant, model, tags, stored_at, expires_at, canonical, reply)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PUT_VECTOR = "INSERT INTO vectors (number, model_hash, vector) SELECT number, ?, ? FROM entries WHERE fingerprint = ?"
_Row = tuple[int, int, bytes, bytes, bytes, bytes, float, float, bytes, bytes, bytes | None, bytes | None]
# SQLITE_ERROR: our statements do not fit the tables, so somebody else made them.
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
# Another process with the same file (an old one that drains) may hold the lock that long.
_BUSY_SECONDS = 2.0


class SqliteStorage:
    """The file of one cache process. The file holds prompts: nobody but its owner may read it."""

    def __init__(self, path: Path, *, log: Log, clock: Clock) -> None:
        self._path = path
        self._log = log
        self._clock = clock
        self._connection: sqlite3.Connection | None = None

    def load(self, now: Moment, *, most_entries: int, most_bytes: int, mark: int = 0) -> Iterator[Entry]:
        try:
            yield from self._load(self._open().execute(_SELECT, (mark,)), now, most_entries, most_bytes)
        except (_Unusable, sqlite3.Error, OSError) as failure:
            self._set_aside_or_fail(failure)

    def mark(self) -> int:
        try:
            return int(self._open().execute("SELECT coalesce(max(number), 0) FROM entries").fetchone()[0])
        except (_Unusable, sqlite3.Error, OSError) as failure:
            raise StorageFailed(type(failure).__name__) from failure

    def learned(self) -> dict[tuple[str, bytes], bytes]:
        try:
            rows = self._open().execute("SELECT kind, key, value FROM learned").fetchall()
        except (_Unusable, sqlite3.Error, OSError) as failure:
            self._set_aside_or_fail(failure)
            return {}
        return {(kind.decode(errors="replace"), bytes(key)): bytes(value) for kind, key, value in rows}

    def write(
        self, changes: Mapping[Fingerprint, Entry | None], *, wipe: bool = False, learned: Learned | None = None
    ) -> None:
        puts = [_row(entry) for entry in changes.values() if entry is not None]
        vectors = [
            (entry.vectors.model_hash, entry.vectors.data, entry.fingerprint)
            for entry in changes.values()
            if entry is not None and entry.vectors is not None
        ]
        removed = [(fingerprint,) for fingerprint, entry in changes.items() if entry is None]
        try:
            connection = self._open()
            with connection:
                if wipe:
                    connection.execute("DELETE FROM entries")
                connection.executemany("DELETE FROM entries WHERE fingerprint = ?", removed)
                connection.executemany(_PUT, puts)
                connection.executemany(_PUT_VECTOR, vectors)
                connection.executemany(_LEARN, [(*name, value) for name, value in (learned or {}).items()])
        except _Unusable as failure:
            self._set_aside(str(failure))
            raise StorageFailed(str(failure)) from failure
        except (sqlite3.Error, OSError) as failure:
            self._after(failure)
            raise StorageFailed(_cause(failure)) from failure

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives its side files the mode of this one.
        self._path.touch(mode=0o600)
        # The executor's thread is not the one that closes.
        connection = self._connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        # Text that is no UTF-8 must spoil its row alone.
        connection.text_factory = bytes
        connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode this survives a killed process; a power cut may cost the last moments.
        connection.execute("PRAGMA synchronous = NORMAL")
        # What is replaced goes with its vector, too.
        connection.execute("PRAGMA recursive_triggers = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version == 0 and tables == 0:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_CREATE)
                connection.execute(_CREATE_VECTORS)
                connection.execute(_CREATE_TRIGGER)
                connection.execute(_CREATE_LEARNED)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        elif version != _SCHEMA_VERSION:
            raise _Unusable(f"schema version {version}, not {_SCHEMA_VERSION}")
        return connection

    def _load(self, rows: sqlite3.Cursor, now: Moment, most_entries: int, most_bytes: int) -> Iterator[Entry]:
        useless: list[tuple[int]] = []
        count = used = 0
        for row in rows:
            entry = _entry(row, now)
            size = 0 if entry is None else entry.size()
            if entry is None or count >= most_entries or used + size > most_bytes:
                useless.append((row[0],))
                continue
            count += 1
            used += size
            yield entry
        # Not worth failing for: the next start skips them again.
        with contextlib.suppress(sqlite3.OperationalError), rows.connection as connection:
            connection.executemany("DELETE FROM entries WHERE number = ?", useless)

    def _set_aside_or_fail(self, failure: _Unusable | sqlite3.Error | OSError) -> None:
        """After a failure to read: a file that cannot be used is out of the way, or StorageFailed."""
        if isinstance(failure, _Unusable):
            self._set_aside(str(failure))
            return
        self._after(failure)
        if not _is_corrupt(failure):
            raise StorageFailed(_cause(failure)) from failure

    def _after(self, failure: sqlite3.Error | OSError) -> None:
        if _is_corrupt(failure):
            self._set_aside(_cause(failure))
        else:
            self.close()

    def _set_aside(self, cause: str) -> None:
        self.close()
        aside = self._path.with_name(f"{self._path.name}.broken-{int(self._clock.wall() * 1000)}")
        self._log.warning("cache_file_set_aside", file=str(self._path), moved_to=str(aside), cause=cause)
        try:
            self._path.rename(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        except OSError as failure:
            raise StorageFailed(_cause(failure)) from failure


class _Unusable(Exception):
    """The file is whole, but not ours to read."""


def _row(entry: Entry) -> tuple[object, ...]:
    tags = json.dumps(entry.tags)
    front = (_ROW_FORMAT, entry.fingerprint, entry.entry_id, entry.tenant, entry.model, tags)
    return (*front, entry.stored_at, entry.expires_at, entry.canonical, entry.reply)


def _entry(row: _Row, now: Moment) -> Entry | None:
    """The entry of a row; None where it is over, of another format, or does not hold together."""
    _, layout, fingerprint, tenant, model, tags, stored_at, expires_at, canonical, reply, model_hash, vector = row
    if layout != _ROW_FORMAT:
        return None
    try:
        age_zero = now.monotonic - max(0.0, now.wall - stored_at)
        if is_over(stored_at, expires_at, age_zero, now) or not fingerprints.belongs(fingerprint, canonical):
            return None
        CachedReply.FromString(reply)
        return Entry(
            sys.intern(tenant.decode()),
            Fingerprint(fingerprint),
            canonical,
            reply,
            sys.intern(model.decode()),
            () if tags == b"[]" else tuple(json.loads(tags)),
            stored_at,
            expires_at,
            age_zero,
            Vectors(model_hash.decode(), vector) if model_hash and vector else None,
        )
    except (ValueError, TypeError, AttributeError, DecodeError):  # SQLite's columns take values of any type
        return None


def _is_corrupt(failure: sqlite3.Error | OSError) -> bool:
    code = getattr(failure, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _CORRUPT


def _cause(failure: sqlite3.Error | OSError) -> str:
    if isinstance(failure, OSError):
        return failure.strerror or type(failure).__name__
    return getattr(failure, "sqlite_errorname", None) or type(failure).__name__
