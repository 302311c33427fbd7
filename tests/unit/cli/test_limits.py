"""Limits of time and size."""

from __future__ import annotations

from pathlib import Path

from shoal.cli.limits import Limits
from shoal.values.key import Key
from tests.support.gitrepo import make_repository


def test_no_limits(tmp_path: Path) -> None:
    limits = Limits(None, None)
    repository = make_repository(tmp_path / "repo")
    assert limits.admit(Key.parse(b"X-s5--a"), repository)
    assert limits.admit(Key.parse(b"URL--a"), repository)
    assert not limits.is_time_up()
    assert not limits.reached


def test_what_is_too_large_is_passed_over(tmp_path: Path) -> None:
    limits = Limits(None, 10)
    repository = make_repository(tmp_path / "repo")
    sizes = (6, 5, 4, 0, 1)
    admitted = [limits.admit(Key.parse(b"X-s%d--a" % size), repository) for size in sizes]
    assert admitted == [True, False, True, True, False]
    assert limits.reached


def test_an_unknown_size_is_that_of_the_content_here(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    key = Key.parse(b"URL--a")
    assert not Limits(None, 10).admit(key, repository)
    path = Path(repository.objects.location(key))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"1234")
    assert Limits(None, 4).admit(key, repository)
    assert not Limits(None, 3).admit(key, repository)


def test_time() -> None:
    over = Limits(0, None)
    assert over.is_time_up()
    assert over.reached
    assert over.farewell == "Time limit (0s) reached! Shutting down..."
    assert not Limits(3600, None).is_time_up()
