"""Locks: who excludes whom, also across processes and with fcntl locks of others."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shoal.git.locks import Locker, LockError
from shoal.git.permissions import Permissions

_POSIX_HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+b" if sys.argv[2] == "EX" else "rb")
fcntl.lockf(file, fcntl.LOCK_EX if sys.argv[2] == "EX" else fcntl.LOCK_SH)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "some.lck")


def _hold(path: str, kind: str) -> subprocess.Popen[str]:
    """Hold a lock as git-annex does (fcntl, whole file) in another process."""
    Path(path).touch()
    holder = subprocess.Popen(
        [sys.executable, "-c", _POSIX_HOLDER, path, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    return holder


def _let_go(holder: subprocess.Popen[str]) -> None:
    holder.communicate("")


@pytest.mark.parametrize(
    ("held", "shared", "exclusive"), [("SH", True, False), ("EX", False, False)]
)
def test_locks_of_git_annex_are_respected(
    path: str, held: str, shared: bool, exclusive: bool
) -> None:
    holder = _hold(path, held)
    locker = Locker()
    try:
        lock = locker.try_shared(path)
        assert (lock is not None) == shared
        if lock is not None:
            lock.release()
        assert (locker.try_exclusive(path) is not None) == exclusive
        assert locker.is_locked_exclusively(path) == (held == "EX")
    finally:
        _let_go(holder)
    with Locker().exclusive(path) as lock:
        assert lock.is_sane()


def test_a_fcntl_lock_of_another_process_fails_against_ours(path: str) -> None:
    with Locker().exclusive(path):
        code = (
            "import fcntl, sys\n"
            "try: fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
            "except OSError: sys.exit(7)"
        )
        assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 7


def test_threads_of_one_process_exclude_each_other(path: str) -> None:
    locker = Locker()
    order: list[str] = []
    first = locker.exclusive(path)

    def wait_for_it() -> None:
        with locker.exclusive(path):
            order.append("second")

    thread = threading.Thread(target=wait_for_it)
    thread.start()
    assert locker.try_shared(path) is None
    order.append("first")
    first.release()
    thread.join()
    assert order == ["first", "second"]


def test_closing_another_descriptor_of_the_file_keeps_the_lock(path: str) -> None:
    with Locker().exclusive(path):
        Path(path).read_bytes()
        assert Locker().try_shared(path) is None


def test_release_twice_is_harmless(path: str) -> None:
    lock = Locker().exclusive(path)
    lock.release()
    lock.release()
    assert not lock.is_sane()


def test_a_lock_on_a_deleted_or_replaced_file_is_not_sane(path: str) -> None:
    with Locker().exclusive(path) as lock:
        os.unlink(path)
        assert not lock.is_sane()
        with Locker().exclusive(path) as other:
            assert other.is_sane()
            assert not lock.is_sane()


def test_lock_files_are_made_for_the_group_when_the_repository_is_shared(path: str) -> None:
    with Locker(Permissions.parse("group")).shared(path):
        assert os.stat(path).st_mode & 0o777 == 0o664


def test_lock_files_are_not_inherited(path: str) -> None:
    with Locker().exclusive(path) as lock:
        subprocess.run(["true"], check=True)
        assert lock.is_sane()
        for name in os.listdir("/proc/self/fd"):
            full = f"/proc/self/fd/{name}"
            if os.path.islink(full) and os.readlink(full) == path:
                assert fcntl.fcntl(int(name), fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_an_impossible_lock_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"cannot lock .*/no/such\.lck: No such file or directory"):
        Locker().exclusive(str(tmp_path / "no" / "such.lck"))
