"""Sizes of repositories follow the location logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from shoal.logs import location
from shoal.logs import uuid as uuid_log
from shoal.logs.presence import Status
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, THERE, make_annex

CLUSTER = UUID("ac666666-6666-8666-8666-666666666666")
LARGE = Key.parse(b"SHA256E-s1000000--aa.bin")
SMALL = Key.parse(b"SHA256E-s7--bb.bin")
UNKNOWN = Key.parse(b"URL--http&c%%x")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with make_annex(tmp_path / "r") as repository:
        yield repository


def _log(repository: Repository, key: Key, repo: UUID, status: Status | bool, at: int) -> None:
    path = location.path(key)
    repository.branch.change(path, lambda log: location.change(log, repo, status, Clock(at)))


def _describe(repository: Repository, repo: UUID) -> None:
    repository.branch.change(
        uuid_log.PATH, lambda log: uuid_log.change(log, repo, b"somewhere", Clock(1))
    )


def test_sizes_are_sums_over_the_keys_that_each_repository_has(repository: Repository) -> None:
    for repo in (HERE, THERE, CLUSTER):
        _describe(repository, repo)
    _log(repository, LARGE, HERE, True, 1)
    _log(repository, SMALL, HERE, True, 1)
    _log(repository, UNKNOWN, HERE, True, 1)
    _log(repository, SMALL, THERE, Status.DEAD, 1)
    sizes = repository.sizes
    assert sizes.sizes() == {HERE: 1_000_007, THERE: 0}
    assert sizes.size(UUID("99999999-9999-4999-8999-999999999999")) is None


def test_changes_count_at_once_committed_or_not(repository: Repository) -> None:
    sizes = repository.sizes
    assert sizes.sizes() == {}
    _describe(repository, HERE)
    _log(repository, LARGE, HERE, True, 1)
    assert sizes.size(HERE) == 1_000_000
    repository.branch.commit()
    _log(repository, LARGE, THERE, True, 2)
    _log(repository, LARGE, HERE, False, 3)
    assert sizes.sizes() == {HERE: 0, THERE: 1_000_000}


def test_changes_of_others_count_after_a_refresh(repository: Repository) -> None:
    sizes = repository.sizes
    _log(repository, SMALL, HERE, True, 1)
    repository.branch.commit()
    assert sizes.size(HERE) == 7
    with Repository.open(repository.path) as other:
        _log(other, LARGE, HERE, True, 2)
        repository.refresh()
        assert sizes.size(HERE) == 1_000_007
        other.branch.commit()
        _log(other, SMALL, HERE, False, 3)
        other.branch.commit()
    repository.refresh()
    assert sizes.size(HERE) == 1_000_000
