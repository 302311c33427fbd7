"""numcopies.log and mincopies.log."""

from __future__ import annotations

from types import ModuleType

import pytest

from shoal.logs import mincopies, numcopies
from shoal.values.clock import clock_from_seconds

_NOW = clock_from_seconds(100)
both = pytest.mark.parametrize("log", [numcopies, mincopies], ids=lambda module: module.PATH)


@both
def test_the_newest_number_counts_and_the_greatest_of_a_tie(log: ModuleType) -> None:
    assert log.parse(b"5s 2\n7s 3\n6s 9\n") == 3
    assert log.parse(b"5s 2\n5s 3\n5s 1\n") == 3
    assert log.parse(b"x\n5s\n5s y\n") is None


@both
def test_less_than_one_copy_counts_as_one(log: ModuleType) -> None:
    assert log.parse(b"5s 0\n") == 1
    assert log.parse(b"5s -2\n") == 1
    with pytest.raises(ValueError, match="1 or more"):
        log.change(b"", 0, _NOW)


@both
def test_a_number_that_is_set_already_is_not_written_again(log: ModuleType) -> None:
    assert log.change(b"5s 3\njunk\n", 3, _NOW) is None
    assert log.change(b"5s 0\n", 1, _NOW) is None
    assert log.change(b"5s 3\njunk\n", 4, _NOW) == b"100s 4\n"
