"""Sizes of repositories over time, and which of them are shown."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from shoal.logs.sizehistory import Columns, Rows, SizeHistory
from shoal.values.key import Key
from shoal.values.uuid import UUID

_A, _B = UUID("a"), UUID("b")
_BIG, _SMALL, _UNSIZED = (Key.parse(text) for text in (b"X-s100--1", b"X-s7--2", b"URL--3"))


def _text(sizes: Iterable[int]) -> str:
    return ",".join(map(str, sizes))


def _history(*logs: tuple[Key, bytes], received: bool = False) -> SizeHistory:
    history = SizeHistory(received=received)
    for key, log in logs:
        history.add_location(key, log)
    return history


def test_what_was_added_and_removed() -> None:
    history = _history((_BIG, b"1s 1 a\n1s 1 b\n"), (_SMALL, b"1s 1 a\n"), (_UNSIZED, b"1s 1 a\n"))
    assert history.sizes() == {_A: 107, _B: 100}
    history.add_location(_BIG, b"2s 0 a\n1s 1 b\n")
    assert history.sizes() == {_A: 7, _B: 100}


def test_versions_of_clones_add_up() -> None:
    """The second version comes from a clone that had not heard of the first."""
    history = _history((_BIG, b"5s 1 a\n"), (_BIG, b"6s 1 b\n"))
    assert history.sizes() == {_A: 100, _B: 100}


def test_the_newest_line_counts_and_of_two_equal_ones_the_first() -> None:
    history = _history((_BIG, b"5s 1 a\n"), (_BIG, b"4s 0 a\n"), (_BIG, b"5s 0 a\n"))
    assert history.sizes() == {_A: 100}
    history.add_location(_BIG, b"5.5s 0 a\n")
    assert history.sizes() == {_A: 0}


def test_what_was_received_is_never_taken_back() -> None:
    logs = [(_BIG, b"1s 1 a\n"), (_BIG, b"2s 0 a\n"), (_BIG, b"3s 1 a\n")]
    assert _history(*logs, received=True).sizes() == {_A: 200}


def test_a_dead_repository_has_nothing() -> None:
    history = _history((_BIG, b"1s 1 a\n1s 1 b\n"))
    history.add_trust(b"a X timestamp=5s\n")
    assert history.sizes() == {_A: 0, _B: 100}
    history.add_trust(b"a 0 timestamp=4s\n")  # from before
    assert history.sizes() == {_A: 0, _B: 100}
    history.add_trust(b"a ? timestamp=6s\n")
    assert history.sizes() == {_A: 100, _B: 100}


def test_columns() -> None:
    sizes = {_A: 5, UUID("unknown"): 2}
    assert Columns((_B, _A)).of(sizes) == [0, 5]
    assert Columns((_B, _A), total=True).of(sizes) == [7]


def _fed(rows: Rows, history: SizeHistory, *versions: tuple[int, Key, bytes]) -> list[str | None]:
    found = []
    for time, key, log in versions:
        history.add_location(key, log)
        found.append(rows.add(time, history))
    return found


def test_the_first_change_of_a_commit_is_shown() -> None:
    rows = Rows(Columns((_A,)), _text)
    found = _fed(
        rows, SizeHistory(),
        (10, _UNSIZED, b"1s 1 a\n"), (10, _BIG, b"1s 1 a\n"), (10, _SMALL, b"1s 1 a\n"),
        (20, _SMALL, b"1s 1 b\n"), (30, _SMALL, b"2s 0 a\n"),
    )  # fmt: skip
    assert found == [None, "100", None, "107", "100"]
    assert rows.last == "100"


@pytest.mark.parametrize(("interval", "shown"), [(0, 4), (1, 3), (10, 3), (11, 2), (100, 1)])
def test_interval(interval: int, shown: int) -> None:
    rows = Rows(Columns((_A,)), _text, interval=interval)
    versions = [(time, Key.parse(b"X-s1--%d" % n), b"1s 1 a\n") for n, time in enumerate(
        [1000, 1000, 1010, 1020]
    )]  # fmt: skip
    found = _fed(rows, SizeHistory(), *versions)
    assert len([row for row in found if row is not None]) == shown


def test_received_since_the_last_row() -> None:
    rows = Rows(Columns((_A,)), _text, received=True)
    found = _fed(
        rows, SizeHistory(received=True),
        (10, _BIG, b"1s 1 a\n"), (20, _SMALL, b"1s 1 a\n"), (30, _SMALL, b"2s 0 a\n"),
        (40, _SMALL, b"3s 0 a\n"),
    )  # fmt: skip
    assert found == ["100", "7", "0", None]


def test_time_that_goes_back_is_followed() -> None:
    rows = Rows(Columns((_A,)), _text, interval=50)
    found = _fed(
        rows, SizeHistory(),
        (100, _BIG, b"1s 1 a\n"), (40, _SMALL, b"1s 1 a\n"), (90, _UNSIZED, b"1s 1 a\n"),
        (91, _SMALL, b"2s 0 a\n"),
    )  # fmt: skip
    assert found == ["100", None, None, "100"]
