"""Transfer locks, information about transfers, and what failed ones leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import NotEnoughSpace, TransferInProgress
from shoal.git.diskreserve import DEFAULT_RESERVE, check_reserve, free_bytes, parse_reserve
from shoal.git.locks import Locker
from shoal.git.permissions import Permissions
from shoal.git.transfers import TransferInfo, TransferLog, directory_name
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import THERE, descriptors

KEY = Key.parse(b"SHA256E-s1000--abc.txt")
OTHER = Key.parse(b"SHA256E-s5000--def.txt")
ELSEWHERE = UUID("88888888-8888-4888-8888-888888888888")


@pytest.fixture
def log(tmp_path: Path) -> TransferLog:
    return TransferLog(str(tmp_path), Locker(), Permissions())


def _files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in (root / "transfer").rglob("*") if p.is_file())


def test_a_download_is_seen_by_others(log: TransferLog, tmp_path: Path) -> None:
    """Both lock files and the information, in the real program's places."""
    transfer = log.begin_download(KEY, THERE, "some file.txt")
    name = "SHA256E-s1000--abc.txt"
    assert _files(tmp_path) == [
        f"transfer/download/{THERE}/{name}",
        f"transfer/download/{THERE}/lck.{name}",
        f"transfer/download/lck/lck.{name}",
    ]
    text = (tmp_path / "transfer" / "download" / THERE / name).read_bytes()
    info = TransferInfo.parse(text)
    assert info.file == "some file.txt"
    assert info.done is None
    assert text.endswith(b"s\nsome file.txt\n")
    transfer.end(failed=False)
    assert _files(tmp_path) == []


def test_one_download_of_a_key_at_a_time(log: TransferLog) -> None:
    """Whoever it comes from."""
    transfer = log.begin_download(KEY, THERE)
    with pytest.raises(TransferInProgress):
        log.begin_download(KEY, ELSEWHERE)
    with pytest.raises(TransferInProgress):
        log.begin_download(KEY, THERE)
    log.begin_download(OTHER, THERE).end(failed=None)
    transfer.end(failed=None)
    log.begin_download(KEY, ELSEWHERE).end(failed=None)


def test_old_versions_lock_only_their_own_file(log: TransferLog, tmp_path: Path) -> None:
    """So that one is respected too."""
    directory = tmp_path / "transfer" / "download" / THERE
    directory.mkdir(parents=True)
    before = descriptors()
    lock_file = str(directory / "lck.SHA256E-s1000--abc.txt")
    with Locker().exclusive(lock_file), pytest.raises(TransferInProgress):
        log.begin_download(KEY, THERE)
    assert descriptors() == before
    log.begin_download(KEY, THERE).end(failed=None)


def test_a_failure_is_recorded_until_a_success(log: TransferLog, tmp_path: Path) -> None:
    """The real program offers failed transfers again."""
    transfer = log.begin_download(KEY, THERE, "f")
    transfer.progress(500)
    transfer.end(failed=True)
    transfer.end(failed=False)
    failed = tmp_path / "transfer" / "failed" / "download" / THERE / "SHA256E-s1000--abc.txt"
    assert failed.read_bytes().split()[1:] == [b"500", b"f"]
    log.begin_download(KEY, THERE).end(failed=None)
    assert failed.exists()
    log.begin_download(KEY, THERE).end(failed=False)
    assert not failed.exists()


def test_progress_is_written_at_each_percent(log: TransferLog, tmp_path: Path) -> None:
    """Not at each write."""
    transfer = log.begin_download(KEY, THERE)
    path = tmp_path / "transfer" / "download" / THERE / "SHA256E-s1000--abc.txt"
    transfer.progress(9)
    assert TransferInfo.parse(path.read_bytes()).done is None
    transfer.progress(10)
    transfer.progress(15)
    assert TransferInfo.parse(path.read_bytes()).done == 10
    transfer.end(failed=None)


def test_many_may_fetch_a_key_at_once(log: TransferLog, tmp_path: Path) -> None:
    """The first upload is recorded, the others just happen."""
    transfer = log.begin_upload(KEY, THERE, "f")
    assert transfer is not None
    assert log.begin_upload(KEY, THERE) is None
    assert _files(tmp_path) == [
        f"transfer/upload/{THERE}/SHA256E-s1000--abc.txt",
        f"transfer/upload/{THERE}/lck.SHA256E-s1000--abc.txt",
    ]
    transfer.end(failed=False)
    assert _files(tmp_path) == []


@pytest.mark.parametrize("uuid", ["../../x", "a/b", ".", "..", "", "x" * 300, "-f", "ü"])
def test_no_uuid_leads_out_of_the_directory(log: TransferLog, tmp_path: Path, uuid: str) -> None:
    """A client may call itself anything."""
    name = directory_name(UUID(uuid))
    assert "/" not in name
    assert name not in {"", ".", "..", "lck"}
    transfer = log.begin_download(KEY, UUID(uuid))
    top = tmp_path / "transfer" / "download"
    assert (top / name / "SHA256E-s1000--abc.txt").exists()
    transfer.end(failed=True)


def test_running_downloads_count_for_the_disk_reserve(log: TransferLog) -> None:
    """With what they have still to write; others and finished ones do not."""
    assert log.bytes_to_come(KEY) == 0
    transfer = log.begin_download(OTHER, THERE)
    transfer.progress(2000)
    assert log.bytes_to_come(KEY) == 3000
    assert log.bytes_to_come(OTHER) == 0
    assert log.most_to_come(KEY) == 5000
    transfer.end(failed=None)
    assert log.bytes_to_come(KEY) == 0


def test_a_dead_process_counts_for_nothing(log: TransferLog, tmp_path: Path) -> None:
    """What it left is not locked."""
    directory = tmp_path / "transfer" / "download" / THERE
    directory.mkdir(parents=True)
    (directory / "SHA256E-s5000--def.txt").write_bytes(b"1.5s 10\n\n")
    assert log.bytes_to_come(KEY) == 0


def test_the_disk_reserve_is_kept(log: TransferLog, tmp_path: Path) -> None:
    """With room to spare it passes; with a byte too little it does not."""
    free = free_bytes(str(tmp_path))
    check_reserve(KEY, str(tmp_path), 0, log)
    with pytest.raises(NotEnoughSpace):
        check_reserve(KEY, str(tmp_path), 2 * free, log)
    with pytest.raises(NotEnoughSpace):
        check_reserve(Key.parse(b"MD5-s%d--x" % (2 * free)), str(tmp_path), 0, log)
    partly_here = Key.parse(b"MD5-s%d--x" % (2 * free))
    check_reserve(partly_here, str(tmp_path), 0, log, here_already=2 * free - 1000)


@pytest.mark.parametrize(
    ("text", "size"),
    [(None, DEFAULT_RESERVE), ("1 gigabyte", 10**9), ("5mb", 5 * 10**6), ("x", DEFAULT_RESERVE)],
)
def test_the_reserve_is_a_size(text: str | None, size: int) -> None:
    """annex.diskreserve with units."""
    assert parse_reserve(text) == size


@pytest.mark.parametrize(
    ("text", "info"),
    [
        (b"1.5s 10\nfile\n", TransferInfo(1_500_000_000, 10, "file")),
        (b"1.5s\n\n", TransferInfo(1_500_000_000, None, "")),
        (b"2s\ntwo\nlines\n", TransferInfo(2_000_000_000, None, "two\nlines")),
        (b"", TransferInfo()),
        (b"garbage x\n", TransferInfo()),
    ],
)
def test_information_is_read_as_it_is_written(text: bytes, info: TransferInfo) -> None:
    """And garbage reads as nothing known."""
    assert TransferInfo.parse(text) == info
    if info.started is not None:
        assert bytes(info) == text
