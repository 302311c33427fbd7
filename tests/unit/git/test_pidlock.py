"""The pid lock: text, side lock, take-over and threads."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from shoal.git.locks import Locker, LockError
from shoal.git.pidlock import PidLock, pidlock_of, side_lock_path


@pytest.fixture
def pidlock(tmp_path: Path) -> PidLock:
    return PidLock(str(tmp_path / "pidlock"), timeout=0.2)


def _text(pid: int, host: str) -> str:
    return f'PidLock {{lockingPid = {pid}, lockingHost = "{host}"}}'


def test_the_file_names_process_and_host_and_goes_with_the_last_lock(
    tmp_path: Path, pidlock: PidLock
) -> None:
    locker = Locker(pidlock=pidlock)
    a = locker.exclusive(str(tmp_path / "a.lck"))
    b = locker.shared(str(tmp_path / "b.lck"))
    assert (tmp_path / "a.lck").exists()
    assert Path(pidlock.path).read_text() == _text(os.getpid(), socket.gethostname())
    assert os.path.exists(side_lock_path(pidlock.path))
    a.release()
    assert os.path.exists(pidlock.path)
    assert b.is_sane()
    b.release()
    assert not os.path.exists(pidlock.path)
    assert not os.path.exists(side_lock_path(pidlock.path))
    assert sorted(os.listdir(tmp_path)) == ["a.lck", "b.lck", "home"]


def test_single_files_exclude_threads_of_this_process(tmp_path: Path, pidlock: PidLock) -> None:
    locker = Locker(pidlock=pidlock)
    path = str(tmp_path / "a.lck")
    first = locker.shared(path)
    second = locker.try_shared(path)
    assert second is not None
    assert locker.try_exclusive(path) is None
    assert not locker.is_locked_exclusively(path)
    first.release()
    second.release()
    with locker.exclusive(path):
        assert locker.try_shared(path) is None
        assert locker.is_locked_exclusively(path)
    taken = threading.Event()

    def wait_for_it() -> None:
        locker.exclusive(path).release()
        taken.set()

    with locker.exclusive(path):
        thread = threading.Thread(target=wait_for_it)
        thread.start()
    thread.join()
    assert taken.is_set()


def test_another_host_is_waited_for_until_the_time_is_over(
    tmp_path: Path, pidlock: PidLock
) -> None:
    Path(pidlock.path).write_text(_text(1, "elsewhere"))
    locker = Locker(pidlock=pidlock)
    path = str(tmp_path / "a.lck")
    assert locker.try_exclusive(path) is None
    assert locker.is_locked_exclusively(path)
    with pytest.raises(LockError, match="gave up waiting"):
        locker.exclusive(path)
    assert Path(pidlock.path).read_text() == _text(1, "elsewhere")


def test_what_a_dead_process_left_is_taken_over(tmp_path: Path, pidlock: PidLock) -> None:
    Path(pidlock.path).write_text(_text(os.getpid(), socket.gethostname()))
    with Locker(pidlock=pidlock).exclusive(str(tmp_path / "a.lck")):
        assert str(os.getpid()) in Path(pidlock.path).read_text()
    assert not os.path.exists(pidlock.path)


def test_while_the_side_lock_is_held_nothing_is_taken_over(
    tmp_path: Path, pidlock: PidLock
) -> None:
    Path(pidlock.path).write_text(_text(os.getpid(), socket.gethostname()))
    with Locker().exclusive(side_lock_path(pidlock.path)) as side:
        assert Locker(pidlock=pidlock).try_exclusive(str(tmp_path / "a.lck")) is None
        os.unlink(side.path)


def test_a_child_of_the_holder_needs_no_lock(
    tmp_path: Path, pidlock: PidLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    locker = Locker(pidlock=pidlock)
    assert locker.child_environment() == {}
    with locker.exclusive(str(tmp_path / "a.lck")):
        environment = locker.child_environment()
    ((name, value),) = environment.items()
    assert name.startswith("PIDLOCK_")
    monkeypatch.setenv(name, value)
    Path(pidlock.path).write_text(_text(1, "elsewhere"))
    with Locker(pidlock=pidlock).exclusive(str(tmp_path / "a.lck")):
        assert Path(pidlock.path).read_text() == _text(1, "elsewhere")
    assert Path(pidlock.path).exists()


def test_a_process_has_one_pid_lock_per_file(tmp_path: Path) -> None:
    path = str(tmp_path / "pidlock")
    assert pidlock_of(path, 5) is pidlock_of(path, 7)
    assert pidlock_of(path, 7).timeout == 7


def test_the_side_lock_of_a_short_path_has_no_digest() -> None:
    assert side_lock_path("/a/pidlock").endswith("/a_pidlock.lck")
    long = side_lock_path("/srv/some/longer/place/.git/annex/pidlock")
    assert long.endswith("longer_place_.git_annex_pidlock.lck"[-36:])
    assert len(os.path.basename(long)) == 32 + 32 + 4
