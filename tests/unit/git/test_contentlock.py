"""Content locks: who excludes whom, and what is left on disk."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from shoal.errors import ContentLocked
from shoal.git.contentlock import ContentLocks, format_timestamp, parse_timestamp
from shoal.git.freezing import Freezer
from shoal.git.locks import Locker
from shoal.git.othertmp import OtherTmp
from shoal.git.permissions import Permissions
from tests.support.annexrepo import descriptors

NOW = 1_795_345_256_386_393_740  # ns
SECOND = 1_000_000_000


class Store:
    """One object, and a clock that the test sets."""

    def __init__(self, root: Path) -> None:
        self.now = NOW
        self.directory = root / "objects" / "X1" / "y2" / "K"
        self.directory.mkdir(parents=True)
        self.content = self.directory / "K"
        self.content.write_bytes(b"content")
        self.content.chmod(0o444)
        self.directory.chmod(0o555)
        permissions = Permissions()
        self.locker = Locker(permissions)
        self.locks = ContentLocks(
            str(root / "objects"),
            self.locker,
            Freezer(permissions),
            OtherTmp(str(root), self.locker, permissions),
            clock=lambda: self.now,
        )

    @property
    def path(self) -> str:
        return str(self.content)

    def names(self) -> list[str]:
        return sorted(entry.name for entry in self.directory.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_promise_keeps_removal_away(store: Store) -> None:
    """While a shared lock is held there is no removal, and after it there is."""
    with store.locks.shared(store.path), pytest.raises(ContentLocked):
        store.locks.for_removal(store.path)
    with store.locks.for_removal(store.path):
        pass
    assert store.names() == ["K"]


def test_a_removal_keeps_promises_away(store: Store) -> None:
    """Nobody can promise what is being removed, and this is visible."""
    with store.locks.for_removal(store.path):
        assert store.locks.is_being_removed(store.path)
        with pytest.raises(ContentLocked):
            store.locks.shared(store.path)
        with pytest.raises(ContentLocked):
            store.locks.for_removal(store.path)
    assert not store.locks.is_being_removed(store.path)


def test_many_promises_end_one_by_one(store: Store) -> None:
    """The last one to let go cleans up."""
    first = store.locks.shared(store.path)
    second = store.locks.shared(store.path)
    first.release()
    with pytest.raises(ContentLocked):
        store.locks.for_removal(store.path)
    assert store.names() == ["K", "K.lck"]
    second.release()
    second.release()
    assert store.names() == ["K"]


def test_a_promise_with_retention_is_on_disk_at_once(store: Store) -> None:
    """K.rtm has the end of the time, without a newline, before anybody is told."""
    lock = store.locks.shared(store.path, 600)
    assert (store.directory / "K.rtm").read_bytes() == b"1795345856.38639374s"
    assert store.names() == ["K", "K.lck", "K.rtl", "K.rtm"]
    lock.release()
    assert store.names() == ["K"]
    assert store.directory.stat().st_mode & 0o777 == 0o555


def test_an_abandoned_promise_lasts_until_its_time_is_over(store: Store) -> None:
    """As when a process dies: the time on disk keeps the content."""
    store.locks.shared(store.path, 600).abandon()
    store.now += 600 * SECOND
    with pytest.raises(ContentLocked):
        store.locks.for_removal(store.path)
    store.now += 1
    with store.locks.for_removal(store.path):
        assert store.names() == ["K", "K.lck"]


def test_the_later_of_two_promises_counts(store: Store) -> None:
    """A shorter promise does not shorten a longer one, nor does its end take it away."""
    store.locks.shared(store.path, 600).abandon()
    store.now += SECOND
    store.locks.shared(store.path, 10).release()
    store.now += 300 * SECOND
    with pytest.raises(ContentLocked):
        store.locks.for_removal(store.path)


def test_the_order_of_letting_go_does_not_matter(store: Store) -> None:
    """When both of two overlapping promises ended nothing keeps the content."""
    first = store.locks.shared(store.path, 600)
    store.now += SECOND
    second = store.locks.shared(store.path, 600)
    second.release()
    assert "K.rtm" in store.names()
    first.release()
    assert store.names() == ["K"]


def test_a_promise_of_others_is_put_back(store: Store) -> None:
    """Another process died after its promise; ours replaced its time for a while."""
    store.directory.chmod(0o755)
    foreign = format_timestamp(NOW + 300 * SECOND)
    (store.directory / "K.rtm").write_bytes(foreign)
    lock = store.locks.shared(store.path, 600)
    assert (store.directory / "K.rtm").read_bytes() != foreign
    lock.release()
    assert (store.directory / "K.rtm").read_bytes() == foreign
    store.locks.shared(store.path, 600).release()
    assert (store.directory / "K.rtm").read_bytes() == foreign
    with pytest.raises(ContentLocked):
        store.locks.for_removal(store.path)
    store.now += 301 * SECOND
    store.locks.for_removal(store.path).release()
    assert store.names() == ["K"]


def test_threads_do_not_disturb_each_others_promises(store: Store) -> None:
    """Cleaning up after one never refuses another."""
    failed = []

    def promise() -> None:
        try:
            for _ in range(50):
                store.locks.shared(store.path, 600).release()
        except ContentLocked as error:
            failed.append(error)

    threads = [threading.Thread(target=promise) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert store.names() == ["K"]


def test_a_timestamp_with_a_newline_promises_nothing(store: Store) -> None:
    """The real program reads it like that, so nobody may rely on it."""
    store.directory.chmod(0o755)
    (store.directory / "K.rtm").write_bytes(b"9999999999s\n")
    with store.locks.for_removal(store.path):
        pass
    assert store.names() == ["K"]


def test_locking_makes_no_directories(store: Store) -> None:
    """An absent object cannot be locked, and nothing is made for it."""
    absent = store.directory.parent / "L" / "L"
    with pytest.raises(FileNotFoundError):
        store.locks.shared(str(absent))
    with pytest.raises(FileNotFoundError):
        store.locks.for_removal(str(absent))
    assert not absent.parent.exists()


def test_directories_go_with_the_object(store: Store, tmp_path: Path) -> None:
    """After a removal no empty directories are left, but for the top."""
    with store.locks.for_removal(store.path):
        store.directory.chmod(0o755)
        store.content.unlink()
    assert list((tmp_path / "objects").iterdir()) == []


def test_a_lock_on_a_deleted_lock_file_is_none(store: Store) -> None:
    """Between open and lock another process may have deleted the file."""
    lock = store.locks.shared(store.path)
    store.directory.chmod(0o755)
    (store.directory / "K.lck").unlink()
    with store.locks.for_removal(store.path):
        with pytest.raises(ContentLocked):
            store.locks.shared(store.path)
        lock.release()
        assert store.names() == ["K", "K.lck"]


def test_nothing_stays_open(store: Store) -> None:
    """Neither success nor failure leaves a descriptor."""
    before = descriptors()
    for _ in range(20):
        with store.locks.shared(store.path, 600), pytest.raises(ContentLocked):
            store.locks.for_removal(store.path)
        with store.locks.for_removal(store.path), pytest.raises(ContentLocked):
            store.locks.shared(store.path, 600)
    assert descriptors() == before


def test_threads_exclude_each_other(store: Store) -> None:
    """Of many threads that remove at once exactly one may."""
    start = threading.Barrier(8)
    taken = []

    def remove() -> None:
        start.wait()
        with suppress(ContentLocked):
            taken.append(store.locks.for_removal(store.path))

    threads = [threading.Thread(target=remove) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    taken[0].release()


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (NOW, b"1795345256.38639374s"),
        (5 * SECOND, b"5s"),
        (5 * SECOND + 1, b"5.000000001s"),
        (0, b"0s"),
    ],
)
def test_timestamps_have_one_form(nanoseconds: int, text: bytes) -> None:
    """As the real program writes them."""
    assert format_timestamp(nanoseconds) == text
    assert parse_timestamp(text) == nanoseconds
    assert parse_timestamp(text.removesuffix(b"s")) == nanoseconds


@pytest.mark.parametrize("text", [b"", b"s", b"5s\n", b" 5s", b"x", b"5.s", b"5ss"])
def test_other_texts_are_no_timestamps(text: bytes) -> None:
    """Garbage promises nothing."""
    assert parse_timestamp(text) is None
