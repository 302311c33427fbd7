"""The location log."""

from __future__ import annotations

import pytest

from shoal.logs import location
from shoal.logs.presence import Status
from shoal.values.clock import clock_from_seconds
from shoal.values.key import Key
from shoal.values.uuid import UUID

_A, _B = (UUID(f"{n}0000000-0000-4000-8000-000000000000") for n in "12")
_CLUSTER = UUID("ac000000-0000-8000-8000-000000000000")
_NOW = clock_from_seconds(100)


def test_who_has_the_content() -> None:
    log = f"5s 1 {_A}\n5s 0 {_B}\n5s 1 \n".encode()
    assert location.present_uuids(log) == {_A}
    assert location.parse(log) == {_A: Status.PRESENT, _B: Status.MISSING}


def test_change_is_by_status_or_by_yes_and_no() -> None:
    assert location.change(b"", _A, True, _NOW) == f"100s 1 {_A}\n".encode()
    assert location.change(b"", _A, False, _NOW) == f"100s 0 {_A}\n".encode()
    assert location.change(b"", _A, Status.DEAD, _NOW) == f"100s X {_A}\n".encode()


def test_several_changes_are_as_one_after_the_other() -> None:
    log = f"5s 1 {_A}\n".encode()
    changes: dict[UUID, Status | bool] = {_A: True, _B: True, _CLUSTER: True}
    one = location.change(log, _B, True, _NOW)
    assert location.change_all(log, changes, _NOW) == one
    assert location.change_all(log, {_A: True, _CLUSTER: True}, _NOW) is None
    both = location.change_all(log, {_A: False, _B: Status.DEAD}, _NOW)
    assert both == f"100s 0 {_A}\n100s X {_B}\n".encode()


def test_a_cluster_is_never_written() -> None:
    assert location.change(b"", _CLUSTER, True, _NOW) is None


def test_a_key_is_dead_when_every_line_is() -> None:
    assert location.is_dead(f"5s X {_A}\n".encode())
    assert not location.is_dead(f"5s X {_A}\n5s 0 {_B}\n".encode())
    assert not location.is_dead(b"")


def test_a_key_that_somebody_has_is_not_given_up() -> None:
    assert location.set_dead(f"5s 1 {_A}\n5s 0 {_B}\n".encode()) is None
    dead = location.set_dead(f"5s 0 {_A}\n".encode())
    assert dead == f"5.000000000001s X {_A}\n".encode()
    assert location.is_dead(dead)


@pytest.mark.parametrize("key", [b"SHA256E-s5--a.txt", b"WORM--a:b/c%d&e", b"URL--\xff"])
@pytest.mark.parametrize("levels", [1, 2])
def test_the_path_gives_the_key_back(key: bytes, levels: int) -> None:
    path = location.path(Key.parse(key), levels)
    assert location.key_of(path, levels) == Key.parse(key)
    assert location.key_of(path.encode("utf-8", "surrogateescape"), levels) == Key.parse(key)
    assert location.key_of(path, 3 - levels) is None


@pytest.mark.parametrize(
    "path",
    ["uuid.log", "a/b/c.log", "aaa/bbb/SHA256-s5--x.log.web", "aaa/bbb/SHA256-s5--x", "a/b/.log"],
)
def test_other_files_are_no_location_logs(path: str) -> None:
    assert location.key_of(path) is None


def test_the_line_that_counts() -> None:
    lines = location.newest_lines(f"5s 1 {_A}\n7s 0 {_A}\n6s 1 {_A}\n5s X {_B}\n5s 1 \n".encode())
    assert {uuid: (line.clock, line.status) for uuid, line in lines.items()} == {
        _A: (clock_from_seconds(7), Status.MISSING),
        _B: (clock_from_seconds(5), Status.DEAD),
    }
