"""What changed between the versions of a location log."""

from __future__ import annotations

from shoal.logs.history import Change, Version, change, changes
from shoal.values.uuid import UUID

_A, _B, _C = (UUID(letter) for letter in "abc")


def test_no_change() -> None:
    assert change(5, frozenset({_A}), frozenset({_A})) is None


def test_a_change_is_sorted() -> None:
    found = change(5, frozenset(), frozenset({_C, _A, _B}))
    assert found == Change(5, (_A, _B, _C), ())


def test_each_version_is_compared_with_the_one_before_it() -> None:
    versions = [
        Version(9, frozenset({_B})),
        Version(7, frozenset({_A, _B})),
        Version(6, frozenset({_A, _B})),
        Version(3, frozenset({_A})),
    ]
    assert list(changes(versions, frozenset())) == [
        Change(9, (), (_A,)),
        Change(6, (_B,), ()),
        Change(3, (_A,), ()),
    ]


def test_the_oldest_version_is_compared_with_what_was_before() -> None:
    assert list(changes([Version(3, frozenset({_A}))], frozenset({_A}))) == []
    assert list(changes([], frozenset({_A}))) == []
