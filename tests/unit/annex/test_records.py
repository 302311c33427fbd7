"""Small files that are shared with the real program: move.log and transfers under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.movelog import MoveLog
from shoal.annex.running import Running, running_transfers
from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import make_annex

A, B = UUID("11111111-1111-4111-8111-111111111111"), UUID("22222222-2222-4222-8222-222222222222")
KEY, OTHER = Key.parse(b"SHA256-s3--x"), Key.parse(b"SHA256-s4--y/z")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with make_annex(tmp_path / "repo") as made:
        yield made


def test_moves_are_remembered_until_they_end(repository: Repository) -> None:
    log = MoveLog(repository)
    assert not log.is_under_way(A, B, KEY)
    log.begin(A, B, KEY)
    log.begin(A, B, KEY)
    log.begin(A, B, OTHER)
    text = Path(repository.annex_path("move.log")).read_bytes()
    assert text == b"%s %s SHA256-s3--x\n%s %s SHA256-s4--y/z\n" % ((A.encode(), B.encode()) * 2)
    assert log.is_under_way(A, B, KEY)
    assert not log.is_under_way(B, A, KEY)
    log.end(A, B, KEY)
    assert not log.is_under_way(A, B, KEY)
    assert MoveLog(repository).is_under_way(A, B, OTHER)


def test_the_log_of_moves_stays_short(repository: Repository) -> None:
    log = MoveLog(repository)
    for n in range(120):
        log.begin(A, B, Key.parse(b"SHA256-s1--%d" % n))
    assert len(Path(repository.annex_path("move.log")).read_bytes().splitlines()) == 100
    assert log.is_under_way(A, B, Key.parse(b"SHA256-s1--99"))
    assert not log.is_under_way(A, B, Key.parse(b"SHA256-s1--100"))


def test_transfers_under_way(repository: Repository) -> None:
    transfers = repository.objects.transfers
    assert running_transfers(repository) == []
    upload = transfers.begin_upload(OTHER, B, "")
    download = transfers.begin_download(KEY, A, "d/f")
    assert upload is not None
    assert running_transfers(repository) == [
        Running(True, B, OTHER, ""),
        Running(False, A, KEY, "d/f"),
    ]
    upload.end(failed=True)
    download.end(failed=False)
    assert running_transfers(repository) == []


def test_what_a_dead_process_left_is_not_under_way(repository: Repository) -> None:
    left = Path(repository.annex_path("transfer", "download", A, "SHA256-s3--x"))
    left.parent.mkdir(parents=True)
    left.write_bytes(b"1700000000s 5\nf\n")
    (left.parent / "lck.SHA256-s3--x").touch()
    (left.parent / "not a key").touch()
    assert running_transfers(repository) == []
