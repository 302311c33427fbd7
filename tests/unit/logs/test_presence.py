"""Presence logs beyond the vectors: the fast path gives what the careful one does."""

from __future__ import annotations

from shoal.logs import presence
from shoal.logs.presence import Line, Status
from shoal.values.clock import clock_from_seconds

_NOW = clock_from_seconds(100)


def test_the_newest_line_counts_and_the_first_of_a_tie() -> None:
    log = b"5s 1 a\n7s 0 a\n6s 1 a\n5s 0 b\n5s 1 b\n5s X c\n"
    assert presence.statuses(log) == {b"a": b"0", b"b": b"0", b"c": b"X"}
    assert presence.present(log) == []


def test_clocks_are_compared_as_numbers() -> None:
    assert presence.statuses(b"9s 1 a\n10s 0 a\n") == {b"a": b"0"}
    assert presence.statuses(b"10.05s 1 a\n10.5s 0 a\n") == {b"a": b"0"}
    assert presence.statuses(b"-9s 1 a\n-10s 0 a\n") == {b"a": b"1"}


def test_lines_end_at_cr_and_lf() -> None:
    log = b"5s 1 a\r\n5s 1 b\r5s 1 c\n\n\r5s 1 d"
    assert presence.present(log) == [b"a", b"b", b"c", b"d"]


def test_what_does_not_parse_is_skipped() -> None:
    log = b"x\n5s 2 a\n5s 1\n 5s 1 b\n5s  1 c\n5.s 1 d\n5s 1 e f\n\xff\n5s 1 \xff\n"
    assert presence.present(log) == [b"e f", b"\xff"]


def test_present_things_are_sorted() -> None:
    assert presence.present(b"5s 1 b\n5s 1 a\n5s 0 c\n") == [b"a", b"b"]


def test_maybe_add_writes_only_what_is_new() -> None:
    log = b"5s 1 b\njunk\n"
    assert presence.maybe_add(log, b"b", Status.PRESENT, _NOW) is None
    assert presence.maybe_add(log, b"b", Status.MISSING, _NOW) == b"100s 0 b\n"
    assert presence.maybe_add(log, b"a", Status.DEAD, _NOW) == b"100s X a\n5s 1 b\n"
    assert presence.maybe_add(b"", b"a", Status.MISSING, _NOW) == b"100s 0 a\n"


def test_add_appends_what_is_new_and_keeps_all_else() -> None:
    log = b"junk\n5s 1 b\n5s 0 b"
    assert presence.add(log, b"a", Status.PRESENT, _NOW) == log + b"\n100s 1 a\n"
    assert presence.add(log, b"b", Status.PRESENT, _NOW) == b"100s 1 b\n"


def test_parse_keeps_every_line_in_order() -> None:
    log = b"7s 1 a\n5.5s X a\n"
    lines = presence.parse(log)
    assert [line.status for line in lines] == [Status.PRESENT, Status.DEAD]
    assert presence.render(lines) == log
    assert presence.compact(lines) == {b"a": Line(clock_from_seconds(7), Status.PRESENT, b"a")}


def test_a_clock_has_any_number_of_digits() -> None:
    """Whoever writes an enormous clock must not stop others from writing."""
    nines = b"9" * 5000
    log = b"%s 1 a\n5s 0 a\n" % nines
    assert presence.statuses(log) == {b"a": b"1"}
    assert presence.maybe_add(log, b"a", Status.MISSING, _NOW) == b"1" + b"0" * 5000 + b"s 0 a\n"


def test_present_is_found_in_the_same_way_with_and_without_other_lines() -> None:
    log = b"2s 1 b\n1s 1 a\n1s 1 b\n+3.5 1 c\nx 1 d\n1s 1 \n1s 1 e 1\n"
    assert presence.present(log) == [b"", b"a", b"b", b"c", b"e 1"]
    assert presence.present(log + b"1s 0 f\n") == presence.present(log)
    assert presence.present(log.replace(b"\n", b"\r")) == presence.present(log)
