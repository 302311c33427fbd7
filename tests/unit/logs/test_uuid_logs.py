"""Logs with a value for each repository, beyond the vectors."""

from __future__ import annotations

import pytest

from shoal.logs import (
    activity,
    difference,
    group,
    multicast,
    preferred,
    required,
    schedule,
    trust,
    uuid,
)
from shoal.logs.difference import Difference
from shoal.logs.trust import TrustLevel
from shoal.values.clock import clock_from_seconds
from shoal.values.uuid import UUID

_A, _B = UUID("a"), UUID("b")
_NOW = clock_from_seconds(100)


def test_values_are_the_newest_and_the_last_of_a_tie() -> None:
    log = b"a one timestamp=5s\na two timestamp=4s\nb one timestamp=5s\nb two timestamp=5s\n"
    assert uuid.parse(log) == {_A: b"one", _B: b"two"}


def test_a_line_without_clock_is_older_than_any_other() -> None:
    assert uuid.parse(b"a one timestamp=-5s\na two\n") == {_A: b"one"}
    assert uuid.parse(b"a one\na two\n") == {_A: b"two"}


def test_uuids_that_are_not_utf8_are_sorted_as_bytes() -> None:
    log = b"\xff x timestamp=5s\n\xc3\xa9 y timestamp=5s\n"
    assert uuid.LOG.render(uuid.LOG.parse(log)) == b"\xc3\xa9 y timestamp=5s\n\xff x timestamp=5s\n"


def test_a_description_is_one_line() -> None:
    assert uuid.change(b"", _A, b"x\ny", _NOW) == b"a x\\ny timestamp=100s\n"


def test_trust_levels() -> None:
    log = b"a X timestamp=5s\nb Z timestamp=5s\nc 10 timestamp=5s\nd\n"
    assert trust.parse(log) == {
        _A: TrustLevel.DEAD,
        _B: TrustLevel.SEMITRUSTED,
        UUID("d"): TrustLevel.TRUSTED,
    }


def test_groups_are_words() -> None:
    assert group.parse(b"a  x y timestamp=5s\nb  timestamp=5s\n") == {_A: {b"x", b"y"}, _B: set()}
    for name in (b"", b"a b", b"a\nb"):
        with pytest.raises(ValueError, match="word"):
            group.change(b"", _A, [name], _NOW)


@pytest.mark.parametrize("change", [preferred.change, required.change])
def test_an_expression_is_one_line(change: object) -> None:
    assert callable(change)
    with pytest.raises(ValueError, match="single line"):
        change(b"", _A, b"a\nb", _NOW)
    assert change(b"", _A, b"", _NOW) == b"a  timestamp=100s\n"


def test_expressions_are_kept_as_they_are() -> None:
    log = b"a include=*  or  x timestamp=5s\nb  timestamp=5s\n"
    assert preferred.parse(log) == required.parse(log) == {_A: b"include=*  or  x", _B: b""}


def test_schedules() -> None:
    log = schedule.change(b"", _A, [b"fsck self", b"fsck b"], _NOW)
    assert log == b"a fsck self; fsck b timestamp=100s\n"
    assert schedule.parse(log) == {_A: [b"fsck self", b"fsck b"]}
    assert schedule.parse(b"a  timestamp=5s\n") == {_A: []}
    with pytest.raises(ValueError, match="single line"):
        schedule.change(b"", _A, [b"a\nb"], _NOW)


def test_activities_have_a_time() -> None:
    log = b"a (Fsck) timestamp=5s\nb Other\n"
    assert activity.parse(log) == {
        _A: (b"Fsck", clock_from_seconds(5)),
        _B: (b"Other", None),
    }


def test_differences() -> None:
    wanted = frozenset({Difference.ONE_LEVEL_BRANCH_HASH, Difference.OBJECT_HASH_LOWER})
    log = difference.change(b"", _A, wanted, _NOW)
    assert log == b"a fromList [ObjectHashLower,OneLevelBranchHash] timestamp=100s\n"
    assert difference.parse(log) == {_A: wanted}
    assert difference.all_of(difference.parse(log)) == wanted


def test_differences_that_are_not_understood_are_not_ignored() -> None:
    log = b"a fromList [ObjectHashLower,Sideways] timestamp=5s\nb junk timestamp=5s\n"
    assert difference.parse(log) == {_A: None, _B: None}
    assert difference.all_of(difference.parse(log)) is None
    assert difference.read_differences(b"fromList []") == frozenset()
    assert difference.all_of({}) == frozenset()


def test_fingerprints() -> None:
    log = multicast.change(b"", _A, b"00:AB", _NOW)
    assert log == b'a Fingerprint "00:AB" timestamp=100s\n'
    assert multicast.parse(log) == {_A: b'Fingerprint "00:AB"'}
    with pytest.raises(ValueError, match="fingerprint"):
        multicast.change(b"", _A, b'x"', _NOW)
