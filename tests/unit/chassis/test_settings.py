"""Variables and files become settings, or every problem is said at once and no secret with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest

from services.chassis.server_settings import ServerSettings
from services.chassis.settings import (
    HOST_PORT,
    HTTP_URL,
    REDIS_URL,
    Secret,
    StartError,
    decode,
    load,
    read_toml,
    setting,
    state_directory,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    port: int = setting(1, "")
    share: float = setting(0.5, "")
    price: Decimal = setting(Decimal(0), "")
    on: bool = setting(False, "")
    name: str = setting("x", "")
    wait: timedelta = setting(timedelta(seconds=1), "")
    level: Literal["low", "high"] = setting("low", "")
    colour: Colour = setting(Colour.RED, "")
    file: Path | None = setting(None, "")
    key: Secret | None = setting(None, "")
    hosts: tuple[str, ...] = setting((), "")
    shared: str = setting("", "", env="SHARED_NAME")


def loaded(**environ: str) -> Sample:
    return load(Sample, {f"P_{name.upper()}": value for name, value in environ.items()}, prefix="P")


def test_without_variables_the_defaults_hold():
    assert loaded() == Sample()


def test_an_empty_variable_is_no_variable():
    assert loaded(port="", name="") == Sample()


def test_each_type_is_read():
    made = loaded(
        port="7",
        share="0.25",
        price="1.10",
        on="Yes",
        name="n",
        wait="1.5s",
        level="high",
        colour="blue",
        file="/a/b",
        hosts="a, b,,c",
    )
    assert (made.port, made.share, made.price, made.on, made.name) == (7, 0.25, Decimal("1.10"), True, "n")
    assert (made.wait, made.level, made.file) == (timedelta(seconds=1.5), "high", Path("/a/b"))
    assert made.colour is Colour.BLUE
    assert made.hosts == ("a", "b", "c")


def test_a_shared_variable_has_its_own_name():
    assert load(Sample, {"SHARED_NAME": "all"}, prefix="P").shared == "all"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("0s", timedelta(0)),
        ("2m", timedelta(minutes=2)),
        ("1h", timedelta(hours=1)),
        ("7d", timedelta(days=7)),
    ],
)
def test_durations_have_units(text, expected):
    assert loaded(wait=text).wait == expected


WRONG = [
    ("port", "seven", "is not a whole number"),
    ("port", "1.5", "is not a whole number"),
    ("share", "half", "is not a number"),
    ("price", "cheap", "is not a number"),
    ("on", "maybe", "must be on or off"),
    ("wait", "5", 'is not a duration such as "500ms", "2s" or "10m"'),
    ("wait", "-5s", 'is not a duration such as "500ms", "2s" or "10m"'),
    ("wait", "1w", 'is not a duration such as "500ms", "2s" or "10m"'),
    ("level", "middle", "must be one of low, high"),
    ("colour", "green", "must be one of red, blue"),
]


@pytest.mark.parametrize(("name", "value", "problem"), WRONG)
def test_a_wrong_value_is_said_with_its_variable(name, value, problem):
    with pytest.raises(StartError) as caught:
        loaded(**{name: value})
    assert str(caught.value) == f"P_{name.upper()}: {problem}"


def test_all_problems_are_said_at_once():
    with pytest.raises(StartError) as caught:
        loaded(port="x", on="x", wait="x", level="x")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["P_PORT", "P_ON", "P_WAIT", "P_LEVEL"]


def test_a_secret_never_shows_itself():
    made = loaded(key="sk-secret")
    assert made.key is not None
    assert made.key.reveal() == "sk-secret"
    for text in (repr(made), str(made), f"{made.key}", f"{made.key!r:>20}", format(made.key), "%s" % made.key):  # noqa: UP031
        assert "sk-secret" not in text
    assert not Secret("")


@pytest.mark.parametrize(("said", "expected"), [(None, None), ("on", True), ("off", False), ("auto", None)])
@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("::", False)])
def test_a_tenant_is_believed_on_loopback_or_as_the_operator_says(said, expected, host, loopback):
    environ = {"P_HOST": host} | ({} if said is None else {"P_TRUST_TENANT": said})
    believes = load(ServerSettings, environ, prefix="P").believes_tenant()
    assert believes == (loopback if expected is None else expected)


def test_state_lives_where_it_is_said_else_in_a_directory_of_the_user():
    assert state_directory({"OMNISPHERE_STATE": "/s", "XDG_STATE_HOME": "/x"}) == Path("/s")
    assert state_directory({"XDG_STATE_HOME": "/x"}) == Path("/x/omnisphere")
    assert state_directory({}) == Path.home() / ".local" / "state" / "omnisphere"


def test_a_broken_file_is_said_with_its_name_and_place(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("a = 1\nb = = 2\n")
    with pytest.raises(StartError) as caught:
        read_toml(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert "line 2" in said
    assert "\n" not in said


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(StartError, match=r"none\.toml: cannot be read: No such file or directory"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(StartError, match=r"latin\.toml: is not UTF-8"):
        read_toml(tmp_path / "latin.toml")


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    size: int = 1

    def __post_init__(self) -> None:
        if self.size > 9:
            raise ValueError("size is above 9")


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner
    many: dict[str, Inner] = field(default_factory=dict)
    names: tuple[str, ...] = ()


def problems_of(raw: object) -> list[str]:
    problems: list[str] = []
    decode(Outer, raw, "f.toml", problems)
    return problems


def test_tables_become_dataclasses():
    problems: list[str] = []
    raw = {"inner": {"name": "a"}, "many": {"x": {"name": "b", "size": 3}}, "names": ["p", "q"]}
    made = decode(Outer, raw, "f.toml", problems)
    assert problems == []
    assert made == Outer(Inner("a"), {"x": Inner("b", 3)}, ("p", "q"))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, ["f.toml.inner: is missing"]),
        ([], ["f.toml: is not a table"]),
        ({"inner": 3}, ["f.toml.inner: is not a table"]),
        ({"inner": {}}, ["f.toml.inner.name: is missing"]),
        (
            {"inner": {"name": 3, "size": "x"}},
            ["f.toml.inner.name: is not text", "f.toml.inner.size: is not a whole number"],
        ),
        ({"inner": {"name": "a", "size": True}}, ["f.toml.inner.size: is not a number"]),
        ({"inner": {"name": "a", "size": 1.5}}, ["f.toml.inner.size: is not a whole number"]),
        ({"inner": {"name": "a", "size": 10}}, ["f.toml.inner: size is above 9"]),
        ({"inner": {"name": "a"}, "extra": 1}, ["f.toml.extra: is not known; known are inner, many, names"]),
        ({"inner": {"name": "a"}, "many": {"x": {}}}, ["f.toml.many.x.name: is missing"]),
        ({"inner": {"name": "a"}, "many": []}, ["f.toml.many: is not a table"]),
        ({"inner": {"name": "a"}, "names": [1]}, ["f.toml.names[0]: is not text"]),
        ({"inner": {"name": "a"}, "names": 3}, ["f.toml.names: is not a list"]),
    ],
)
def test_what_is_wrong_in_a_table_is_said_with_its_path(raw, expected):
    assert problems_of(raw) == expected


def test_a_misspelt_variable_is_refused_with_the_one_that_was_meant():
    with pytest.raises(StartError, match=r"_PROT: is not known; did you mean OMNISPHERE_CACHE_PORT\?"):
        load(ServerSettings, {"OMNISPHERE_CACHE_PROT": "1"}, prefix="OMNISPHERE_CACHE")
    load(ServerSettings, {"OMNISPHERE_ROUTER_PROT": "1"}, prefix="OMNISPHERE_CACHE")


@pytest.mark.parametrize("text", ["x = " + "[" * 5_000, "x = " + "9" * 5_000])
def test_a_file_beyond_all_measure_is_named(tmp_path, text):
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(StartError, match="is not TOML"):
        read_toml(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    share: float = setting(0.5, "", least=0, most=1)
    wait: timedelta = setting(timedelta(seconds=1), "", least=timedelta(milliseconds=5), most=timedelta(days=7))
    count: int = setting(1, "", least=1)
    peer: str = setting("127.0.0.1:1", "", form=HOST_PORT)
    url: str = setting("http://127.0.0.1", "", form=HTTP_URL)
    redis: Secret | None = setting(None, "", form=REDIS_URL)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("share", "1.5", "must be between 0 and 1"),
        ("share", "nan", "must be between 0 and 1"),
        ("wait", "4ms", "must be between 5ms and 7d"),
        ("wait", "8d", "must be between 5ms and 7d"),
        ("count", "0", "must be at least 1"),
        ("peer", "cache", "is not host:port, for example 127.0.0.1:50052"),
        ("peer", ":50052", "is not host:port, for example 127.0.0.1:50052"),
        ("peer", "http://cache:50052", "is not host:port, for example 127.0.0.1:50052"),
        ("peer", "cache:70000", "is not host:port, for example 127.0.0.1:50052"),
        ("url", "127.0.0.1:9180", "is not http://host:port"),
        ("redis", "host:6379", "is not redis://[:password@]host:port/db"),
        ("redis", "http://:sk-secret@host", "is not redis://[:password@]host:port/db"),
    ],
)
def test_a_value_beyond_its_bounds_or_of_another_form_is_named(name, value, problem):
    with pytest.raises(StartError) as caught:
        load(Bounded, {f"P_{name.upper()}": value}, prefix="P")
    assert str(caught.value) == f"P_{name.upper()}: {problem}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wait", "5ms"),
        ("peer", "[::1]:50052"),
        ("peer", "cache.omnisphere.svc:50052"),
        ("url", "https://host:1/path"),
        ("redis", "rediss://user:p%40ss@host/0?x=1"),
        ("redis", "redis://host"),
        ("redis", "unix:///tmp/redis.sock"),
    ],
)
def test_what_lies_within_is_taken(name, value):
    load(Bounded, {f"P_{name.upper()}": value}, prefix="P")
