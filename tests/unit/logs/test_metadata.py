"""Metadata beyond the vectors."""

from __future__ import annotations

import pytest

from shoal.logs import metadata, remotemetadata
from shoal.logs.metadata import Changes
from shoal.values.clock import clock_from_seconds
from shoal.values.key import Key
from shoal.values.uuid import UUID

_NOW = clock_from_seconds(100)


def test_later_lines_override_values_one_by_one() -> None:
    log = b"7s foo -x\n5s foo +x +y Bar +z\n"
    assert metadata.current(log) == {"Bar": {b"z"}, "foo": {b"y"}}


def test_the_newest_spelling_of_a_field_is_shown() -> None:
    assert metadata.current(b"5s foo +a\n6s FOO +b\n") == {"FOO": {b"a", b"b"}}


def test_times_of_changes() -> None:
    """As `git annex metadata --json` shows them."""
    log = (
        b"5.5s foo +a Bar +b\n1795346056s foo +c gone +1\n"
        b"1795346057.9s gone -1\n-5s neg +1\n253402300800s far +1\n"
    )
    assert metadata.current_with_times(log) == {
        "Bar": {b"b"},
        "Bar-lastchanged": {b"1970-01-01@00-00-05"},
        "far": {b"1"},
        "far-lastchanged": {b"10000-01-01@00-00-00"},
        "foo": {b"a", b"c"},
        "foo-lastchanged": {b"2026-11-22@11-14-16"},
        "lastchanged": {b"10000-01-01@00-00-00"},
        "neg": {b"1"},
        "neg-lastchanged": {b"1969-12-31@23-59-55"},
    }
    assert metadata.current_with_times(b"") == {}
    assert metadata.current_with_times(b"5s foo -a\n") == {"lastchanged": {b"1970-01-01@00-00-05"}}


def test_stored_times_of_changes_are_shown_beside_ours() -> None:
    log = b"5s foo +a foo-lastchanged +7\n"
    assert metadata.current_with_times(log)["foo-lastchanged"] == {b"1970-01-01@00-00-05", b"7"}


def test_leap_days() -> None:
    for seconds, day in (
        (951_782_400, b"2000-02-29"),
        (951_868_800, b"2000-03-01"),
        (4_107_456_000, b"2100-02-28"),
        (4_107_542_400, b"2100-03-01"),
        (-62_135_596_800, b"0001-01-01"),
    ):
        shown = metadata.current_with_times(b"%ds a +b\n" % seconds)
        assert shown["lastchanged"] == {day + b"@00-00-00"}


def test_any_bytes_can_be_a_value() -> None:
    for value in (b"", b" ", b"!", b"a\nb", b"\xff\x00", b"+x", b"-x", b"\t"):
        log = metadata.change(b"", metadata.adding("f", value), _NOW)
        assert log is not None
        assert metadata.current(log) == {"f": {value}}


def test_no_change_writes_nothing() -> None:
    assert metadata.change(b"5s a +b\n", Changes(), _NOW) is None
    assert metadata.removing_all({}) == Changes()


def test_fields_that_are_legal() -> None:
    assert all(map(metadata.is_legal_field, ["a", "a-b_c.d", "9", "é"]))
    assert not any(map(metadata.is_legal_field, ["", "-a", "_a", ".a", "a b", "a/b", "a:b", "+"]))


@pytest.mark.parametrize("name", ["", "a b", "+a", "a\n", "a:b"])
def test_an_illegal_field_cannot_be_changed(name: str) -> None:
    with pytest.raises(ValueError, match="Illegal metadata field name"):
        metadata.adding(name, b"x")


def test_an_illegal_field_in_a_log_can_be_emptied() -> None:
    log = b"5s +!!a +x foo +y\n"
    now_set = metadata.current(log)
    assert now_set == {"+!!a": {b"x"}, "foo": {b"y"}}
    after = metadata.change(log, metadata.removing_all(now_set), _NOW)
    assert after == b"100s +!!a -x foo -y\n"


def test_a_simplified_log_merges_as_the_whole_would_have() -> None:
    """A line from elsewhere, between two of ours, must count for what it should."""
    whole = metadata.parse(b"100s foo +x\n200s foo -x bar +y\n300s z +1\n")
    simple = metadata.simplify(whole)
    assert metadata.render(simple) == b"200s bar +y foo -x\n300s z +1\n"
    elsewhere = b"150s bar -y foo +w\n"
    assert metadata.current(metadata.render(whole) + elsewhere) == metadata.current(
        metadata.render(simple) + elsewhere
    )


def test_metadata_of_remotes() -> None:
    log = remotemetadata.change(b"", UUID("u"), metadata.adding("Foo", b"1"), _NOW)
    assert log == b"100s u:Foo +1\n"
    log = remotemetadata.change(log, UUID("v"), metadata.adding("foo", b"2"), _NOW)
    assert log == b"100s u:Foo +1\n101s v:foo +2\n"
    assert remotemetadata.current(log, UUID("u")) == {"Foo": {b"1"}}
    assert remotemetadata.current(log, UUID("v")) == {"foo": {b"2"}}
    assert remotemetadata.split_field("u:foo") == (UUID("u"), "foo")
    assert remotemetadata.split_field("foo") is None
    assert remotemetadata.path(Key.parse(b"MD5--x")).endswith("/MD5--x.log.rmet")
    assert metadata.path(Key.parse(b"MD5--x")).endswith("/MD5--x.log.met")


@pytest.mark.parametrize("name", ["foo", "FOO", "Foo"])
def test_setting_a_field_unsets_what_it_had(name: str) -> None:
    log = b"5s foo +a +b\n"
    change = metadata.setting(metadata.current(log), name, [b"b", b"c"])
    after = metadata.change(log, change, _NOW)
    assert after is not None
    assert metadata.current(after) == {name: {b"b", b"c"}}
