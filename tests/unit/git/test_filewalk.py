"""Which commits are shown for one file. (tests of git/history.py compare with git itself.)"""

from __future__ import annotations

from collections.abc import Mapping

from shoal.git.filewalk import Commits, Difference, shown_changes

_NONE = b"0" * 40
_NEW = (_NONE, b"1" * 40)
_CHANGED = (b"1" * 40, b"2" * 40)


def _commits(*parents: tuple[int, ...], times: list[int] | None = None) -> Commits:
    names = [b"%d" % number for number in range(len(parents))]
    return Commits(names, times or list(range(len(parents), 0, -1)), list(parents))


def _shown(commits: Commits, touched: Mapping[int, Mapping[int, Difference]]) -> list[int]:
    return [commit for commit, _ in shown_changes(commits, touched)]


def test_no_history() -> None:
    assert _shown(_commits(), {}) == []


def test_one_line_of_history() -> None:
    commits = _commits((1,), (2,), (3,), (4,), ())
    assert _shown(commits, {1: {0: _CHANGED}, 4: {0: _NEW}}) == [1, 4]


def test_lines_end_at_merges_and_where_they_meet() -> None:
    commits = _commits((1,), (2, 3), (4,), (4,), (5,), ())
    assert commits.lines == [[0, 1], [2, 4, 5], [3]]


def test_a_merge_that_took_one_side_hides_the_other() -> None:
    commits = _commits((1, 2), (3,), (3,), ())
    sides: dict[int, dict[int, Difference]] = {1: {0: _CHANGED}, 2: {0: _CHANGED}, 3: {0: _NEW}}
    assert _shown(commits, {**sides, 0: {0: _CHANGED}}) == [2, 3]
    assert _shown(commits, {**sides, 0: {1: _CHANGED}}) == [1, 3]


def test_a_merge_of_both_sides_shows_both_by_time() -> None:
    sides: dict[int, dict[int, Difference]] = {
        0: {0: _CHANGED, 1: _CHANGED}, 1: {0: _CHANGED}, 2: {0: _CHANGED}, 3: {0: _NEW},
    }  # fmt: skip
    assert _shown(_commits((1, 2), (3,), (3,), ()), sides) == [1, 2, 3]
    assert _shown(_commits((1, 2), (3,), (3,), (), times=[9, 5, 6, 1]), sides) == [2, 1, 3]


def test_nothing_is_shown_from_before_the_file_was_added() -> None:
    """It was there before, and deleted; git stops with --remove-empty."""
    commits = _commits((1,), (2,), (3,), ())
    touched: dict[int, dict[int, Difference]] = {
        1: {0: _NEW}, 2: {0: (b"1" * 40, _NONE)}, 3: {0: _NEW},
    }  # fmt: skip
    assert _shown(commits, touched) == [1]
