"""The git-annex branch of one repository: journal, commits, scanning."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shoal.git.process import GitError
from shoal.git.repository import Repository
from shoal.git.waiting import WouldWait, must_not_wait, without_waiting
from tests.support.gitrepo import (
    BRANCH,
    HERE,
    adding,
    git,
    make_repository,
    on_branch,
    put_on_branch,
    to,
)

pytestmark = pytest.mark.usefixtures("close_repositories")
LOG = "aaa/bbb/MD5-s0--x.log"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "repo"


@pytest.fixture
def repo(path: Path) -> Repository:
    return make_repository(path)


def _set(repo: Repository, path: str, content: bytes) -> bool:
    return repo.branch.change(path, to(content))


def test_reading_journal_and_branch(repo: Repository, path: Path) -> None:
    assert repo.branch.read(LOG) == b""
    put_on_branch(path, {LOG: "1s 1 a\n", "uuid.log": "u\n"})
    assert repo.branch.read(LOG) == b"1s 1 a\n"
    assert _set(repo, LOG, b"2s 1 a\n")
    assert repo.branch.read(LOG) == b"2s 1 a\n"
    assert repo.branch.read("uuid.log") == b"u\n"
    assert on_branch(path)[LOG] == "1s 1 a"


def test_a_change_sees_the_present_content_and_may_decline(repo: Repository) -> None:
    _set(repo, LOG, b"1\n")
    seen: list[bytes] = []

    def update(old: bytes) -> bytes | None:
        seen.append(old)
        return None

    assert not repo.branch.change(LOG, update)
    assert not _set(repo, LOG, b"1\n")
    assert seen == [b"1\n"]


def test_a_failing_update_changes_nothing_and_frees_the_lock(repo: Repository) -> None:
    def update(old: bytes) -> bytes | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        repo.branch.change(LOG, update)
    assert repo.branch.read(LOG) == b""
    assert _set(repo, LOG, b"1\n")


def test_commit_moves_the_journal_to_the_branch(repo: Repository, path: Path) -> None:
    old = put_on_branch(path, {"kept.log": "k\n"})
    assert not repo.branch.commit()
    _set(repo, LOG, b"no newline at the end\nx")
    _set(repo, "new_one.log", b"\0\xff\n")
    assert repo.branch.commit("why")
    assert repo.branch.journal.names() == []
    tip = git(path, "rev-parse", BRANCH)
    assert git(path, "log", "--format=%P %s", "-1", BRANCH) == f"{old} why"
    assert (path / "annex" / "index.lck").read_text() == f"{tip}\n"
    assert repo.branch.read(LOG) == b"no newline at the end\nx"
    assert repo.branch.read("new_one.log") == b"\0\xff\n"
    assert sorted(on_branch(path)) == [LOG, "kept.log", "new_one.log"]
    assert git(path, "fsck", "--strict") == ""


def test_the_message_of_commits_can_be_configured(repo: Repository, path: Path) -> None:
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    assert git(path, "log", "--format=%s", "-2", BRANCH) == "update\nbranch created"
    repo.config.set("annex.commitmessage", "mine")
    _set(repo, LOG, b"2\n")
    repo.branch.commit()
    assert git(path, "log", "--format=%s", "-1", BRANCH) == "mine"
    repo.config.set("annex.commitmessage-command", "echo said; echo more")
    _set(repo, LOG, b"3\n")
    repo.branch.commit()
    assert git(path, "log", "--format=%B", "-1", BRANCH).strip() == "said\nmore"


def test_without_a_user_the_login_name_commits(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("USER", "someone")
    monkeypatch.setenv("LOGNAME", "someone")
    repo = make_repository(path)
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    assert git(path, "log", "-1", "--format=%an %ae %cn", BRANCH) == "someone someone someone"


def test_thousands_of_files_are_committed_at_once(repo: Repository, path: Path) -> None:
    names = [f"{i:03x}/{i:03x}/MD5-s{i}--a_b.log" for i in range(3000)]
    contents = {name: b"%d\n" % i for i, name in enumerate(names)}
    for name, content in contents.items():
        _set(repo, name, content)
    assert repo.branch.commit()
    assert repo.branch.journal.is_empty()
    assert dict(repo.branch.scan()) == contents
    assert list((path / "objects" / "pack").glob("*.pack"))
    assert not list(path.glob("fast_import_crash*"))
    assert git(path, "fsck", "--connectivity-only", "--no-dangling") == ""


def test_many_files_make_no_ref_and_remove_what_a_killed_process_left(
    repo: Repository, path: Path
) -> None:
    put_on_branch(
        path, {'"odd\\ "name': "1\n", "aaa/bbb/c.log": "1\n"}, ref="refs/shoal/never-made"
    )
    for i in range(60):
        _set(repo, f'{i:03x}/"x\\{i}".log', b"%d\n" % i)
    repo.branch.change('"odd\\ "name', to(b"2\n"))
    repo.branch.commit()
    assert git(path, "for-each-ref", "--format=%(refname)") == BRANCH
    assert len(dict(repo.branch.scan())) == 61
    assert repo.branch.read('"odd\\ "name') == b"2\n"
    assert git(path, "fsck", "--connectivity-only", "--no-dangling") == ""


def test_an_index_that_is_gone_or_locked_by_a_dead_git_is_made_anew(
    repo: Repository, path: Path
) -> None:
    put_on_branch(path, {"kept.log": "k\n"})
    _set(repo, LOG, b"1\n")
    (path / "annex" / "index.lock").write_bytes(b"half")
    assert repo.branch.commit()
    assert sorted(on_branch(path)) == [LOG, "kept.log"]
    (path / "annex" / "index").unlink()
    _set(repo, LOG, b"2\n")
    assert repo.branch.commit()
    assert on_branch(path) == {LOG: "2", "kept.log": "k"}


def test_a_lock_that_a_dead_git_left_on_the_branch(repo: Repository, path: Path) -> None:
    put_on_branch(path, {"kept.log": "k\n"})
    lock = path / "refs" / "heads" / "git-annex.lock"
    lock.touch()
    _set(repo, LOG, b"1\n")
    with pytest.raises(GitError, match=r"git update-ref failed: .*git-annex\.lock"):
        repo.branch.commit()
    assert repo.branch.read(LOG) == b"1\n"
    os.utime(lock, (1, 1))
    assert repo.branch.commit()
    assert on_branch(path) == {LOG: "1", "kept.log": "k"}
    assert not lock.exists()


def test_a_broken_index_is_made_anew(repo: Repository, path: Path) -> None:
    put_on_branch(path, {"kept.log": "k\n"})
    _set(repo, LOG, b"1\n")
    (path / "annex" / "index").write_bytes(b"DIRC garbage")
    assert repo.branch.commit()
    assert on_branch(path) == {LOG: "1", "kept.log": "k"}


def test_what_was_pushed_to_the_branch_itself_is_kept(repo: Repository, path: Path) -> None:
    _set(repo, LOG, b"1s 1 a\n")
    repo.branch.commit()
    _set(repo, LOG, b"1s 1 a\n2s 1 b\n")
    tip = git(path, "rev-parse", BRANCH)
    pushed = {LOG: "1s 1 a\n3s 1 c\n", "other.log": "o\n"}
    put_on_branch(path, pushed, parents=(tip,))
    assert repo.branch.read(LOG) == b"1s 1 a\n2s 1 b\n3s 1 c\n"
    assert repo.branch.change(LOG, lambda old: old + b"4s 1 d\n")
    repo.branch.commit()
    assert on_branch(path) == {LOG: "1s 1 a\n2s 1 b\n3s 1 c\n4s 1 d", "other.log": "o"}


def test_a_push_in_the_middle_of_a_commit_is_merged(
    repo: Repository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.git.index import BranchIndex

    _set(repo, LOG, b"1s 1 a\n")
    repo.branch.commit()
    _set(repo, LOG, b"1s 1 a\n2s 1 b\n")
    real = BranchIndex.move_branch
    pushes = [1, 2]

    def move_after_a_push(self: BranchIndex, commit: str, expected: str) -> bool:
        if pushes:
            number = pushes.pop()
            tip = git(path, "rev-parse", BRANCH)
            put_on_branch(path, {LOG: "1s 1 a\n", f"pushed{number}": "p\n"}, parents=(tip,))
        return real(self, commit, expected)

    monkeypatch.setattr(BranchIndex, "move_branch", move_after_a_push)
    repo.branch.commit()
    assert on_branch(path)[LOG] == "1s 1 a\n2s 1 b"
    assert "pushed1" in on_branch(path)
    assert "pushed2" in on_branch(path)
    assert repo.branch.journal.is_empty()
    assert git(path, "log", "--merges", "--oneline", BRANCH) == ""


def test_nothing_is_committed_when_nothing_changes(repo: Repository, path: Path) -> None:
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    tip = repo.branch.tip
    (path / "annex" / "journal" / "aaa_bbb_MD5-s0--x.log").write_bytes(b"1\n")
    assert repo.branch.commit()
    assert repo.branch.tip == tip
    assert repo.branch.journal.is_empty()


def test_a_directory_in_the_journal_is_no_reason_to_commit(repo: Repository, path: Path) -> None:
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    (path / "annex" / "journal" / "stray").mkdir()
    tip = repo.branch.tip
    assert not repo.branch.commit()
    assert repo.branch.tip == tip


def test_private_repositories_stay_private(repo: Repository, path: Path) -> None:
    repo.config.set("annex.private", "true")
    repo.refresh()
    from shoal.values.uuid import UUID

    here, other = UUID(HERE), UUID("22222222-2222-4222-8222-222222222222")
    branch = repo.branch
    branch.change(LOG, lambda old: old + b"1s 1 other\n", regarding=other)
    branch.change(LOG, lambda old: old + b"1s 1 here\n", regarding=here)
    assert branch.read(LOG) == b"1s 1 other\n1s 1 other\n1s 1 here\n"
    branch.change(LOG, lambda old: old + b"2s 1 other\n", regarding=other)
    branch.commit()
    assert "here" not in on_branch(path)[LOG]
    assert on_branch(path)[LOG] == "1s 1 other\n2s 1 other"
    assert b"1s 1 here\n" in branch.read(LOG)
    assert dict(branch.scan()) == {LOG: branch.read(LOG)}
    assert os.listdir(path / "annex" / "journal-private") == ["aaa_bbb_MD5-s0--x.log"]


def test_private_remotes(repo: Repository) -> None:
    for key, value in (
        ("a.annex-private", "true"), ("a.annex-uuid", "ua"),
        ("b.annex-private", "true"), ("b.annex-uuid", "ub"), ("b.annex-config-uuid", "uc"),
        ("c.annex-uuid", "ud"),
    ):  # fmt: skip
        repo.config.set(f"remote.{key}", value)
    repo.refresh()
    assert repo.private_uuids == {"ua", "uc"}


def test_scan_gives_each_file_once_with_the_journal_laid_over(repo: Repository, path: Path) -> None:
    put_on_branch(path, {LOG: "1\n", "uuid.log": "u\n", "odd name.log": "x y\n", "e": ""})
    _set(repo, LOG, b"2\n")
    _set(repo, "new.log", b"n\n")
    found = list(repo.branch.scan())
    assert dict(found) == {
        LOG: b"2\n", "uuid.log": b"u\n", "odd name.log": b"x y\n", "e": b"", "new.log": b"n\n",
    }  # fmt: skip
    assert len(found) == 5
    assert dict(repo.branch.scan(lambda p: p.endswith("x.log"))) == {LOG: b"2\n"}


def test_a_scan_may_be_left_early(repo: Repository, path: Path) -> None:
    put_on_branch(path, {f"{i:03x}/a.log": "x" * 10_000 for i in range(500)})
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = set(children.read_text().split())
    scan = repo.branch.scan()
    next(iter(scan))
    del scan
    assert len(set(children.read_text().split()) - before) <= 1  # cat-file may stay


def test_paths(repo: Repository, path: Path) -> None:
    assert repo.branch.paths() == []
    put_on_branch(path, {LOG: "1\n", "ü.log": "u\n"})
    assert repo.branch.paths() == [LOG, "ü.log"]


def test_the_hook_after_updates_is_run(repo: Repository, path: Path) -> None:
    hook = path / "hooks" / "post-update-annex"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho ran >> hook-ran\n")
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    assert not (path / "hook-ran").exists()  # not executable
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    _set(repo, LOG, b"2\n")
    repo.branch.commit()
    assert (path / "hook-ran").read_text() == "ran\n"
    hook.unlink()
    repo.config.set("annex.post-update-command", "echo configured >> hook-ran")
    _set(repo, LOG, b"3\n")
    repo.branch.commit()
    assert (path / "hook-ran").read_text() == "ran\nconfigured\n"


def test_threads_lose_nothing(repo: Repository, path: Path) -> None:
    def work(number: int) -> None:
        for i in range(20):
            line = b"%d %d\n" % (number, i)
            repo.branch.change(LOG, adding(line))
            if i % 5 == number:
                repo.branch.commit()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    repo.branch.commit()
    lines = on_branch(path)[LOG].split("\n")
    assert sorted(lines) == sorted(f"{number} {i}" for number in range(4) for i in range(20))


def test_readers_never_see_an_older_state(repo: Repository, path: Path) -> None:
    """While another process writes, commits and is merged into, what is read only grows."""
    code = (
        "import sys\n"
        "from shoal.git.repository import Repository\n"
        "repo = Repository.open(sys.argv[1])\n"
        "for i in range(60):\n"
        "    repo.branch.change(sys.argv[2], lambda old: old + b'%d\\n' % i)\n"
        "    if i % 3 == 0: repo.branch.commit()\n"
        "repo.close()\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path), LOG])
    seen: set[bytes] = set()
    looks = 0
    while writer.poll() is None or looks == 0:
        repo.refresh()
        now = set(repo.branch.read(LOG).splitlines())
        assert now >= seen
        assert set(dict(repo.branch.scan()).get(LOG, b"").splitlines()) >= now
        seen = now
        looks += 1
    repo.refresh()
    assert repo.branch.read(LOG).splitlines() == [b"%d" % i for i in range(60)]
    assert writer.returncode == 0


def test_a_repository_with_sha256(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "repo")
    git(tmp_path / "repo", "config", "annex.uuid", HERE)
    git(tmp_path / "repo", "config", "annex.version", "10")
    repo = Repository.open(tmp_path / "repo")
    for number in range(100):
        _set(repo, f"{number:03x}/a.log", b"%d\n" % number)
    repo.branch.commit()
    assert len(dict(repo.branch.scan())) == 100
    assert [repo.branch.read(f"{i:03x}/a.log") for i in range(20)] == [
        b"%d\n" % i for i in range(20)
    ]


# Changing without waiting


def _know_directories(repo: Repository) -> None:
    """Have it noted which directories the branch has."""
    put_on_branch(Path(repo.path), {"ccc/ddd/MD5-s0--other.log": "1s 1 a\n"})
    for number in range(10):
        repo.branch.read(f"ccc/ddd/{number}.log")


def test_a_thread_that_is_ready_changes_a_file_without_waiting(repo: Repository) -> None:
    _know_directories(repo)
    seen: list[bytes] = []

    def add(old: bytes) -> bytes:
        seen.append(old)
        return old + b"more\n"

    with repo.branch.ready_to_change(LOG), without_waiting():
        assert repo.branch.change(LOG, add)
        assert repo.branch.change(LOG, add)
    assert seen == [b"", b"more\n"]
    assert repo.branch.read(LOG) == b"more\nmore\n"


def test_while_a_thread_is_ready_others_wait(repo: Repository) -> None:
    _know_directories(repo)
    other = threading.Thread(target=_set, args=(repo, LOG, b"other\n"))
    with repo.branch.ready_to_change(LOG):
        other.start()
        other.join(0.1)
        assert other.is_alive()
        _set(repo, LOG, b"first\n")
    other.join(30)
    assert repo.branch.read(LOG) == b"other\n"


def test_nobody_is_ready_while_the_journal_is_locked(repo: Repository) -> None:
    _know_directories(repo)
    _set(repo, LOG, b"1\n")
    with repo.locker.exclusive(repo.lock_path("journal")):
        with pytest.raises(WouldWait), repo.branch.ready_to_change(LOG):
            pass
        assert not must_not_wait()
    with repo.branch.ready_to_change(LOG):
        pass
    _set(repo, LOG, b"2\n")  # the lock was given back


def test_nobody_is_ready_while_another_thread_looks_at_the_refs(repo: Repository) -> None:
    _know_directories(repo)
    _set(repo, LOG, b"1\n")
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with repo.branch._lock:
            held.set()
            go_on.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    with pytest.raises(WouldWait), repo.branch.ready_to_change(LOG):
        pass
    go_on.set()
    holder.join()
    _set(repo, LOG, b"2\n")


def test_nobody_is_ready_when_git_must_be_asked(repo: Repository, path: Path) -> None:
    put_on_branch(path, {LOG: "1s 1 a\n"})
    with pytest.raises(WouldWait), repo.branch.ready_to_change(LOG):
        pass
    assert repo.branch.read(LOG) == b"1s 1 a\n"  # a thread asks ...
    with repo.branch.ready_to_change(LOG):  # ... and it is known
        _set(repo, LOG, b"2s 1 a\n")


def test_what_is_not_merged_yet_is_not_read_without_waiting(repo: Repository) -> None:
    with pytest.raises(WouldWait), without_waiting():
        repo.branch.read(LOG)


def test_who_fails_is_ready_no_more(repo: Repository) -> None:
    _know_directories(repo)
    with pytest.raises(ZeroDivisionError), repo.branch.ready_to_change(LOG):
        raise ZeroDivisionError
    _set(repo, LOG, b"1\n")
    assert repo.branch.read(LOG) == b"1\n"


def test_own_commits_keep_the_directories_known(repo: Repository) -> None:
    _know_directories(repo)
    _set(repo, LOG, b"1\n")
    repo.branch.commit()
    with repo.branch.ready_to_change("aaa/new/MD5-s0--y.log"), without_waiting():
        _set(repo, "aaa/new/MD5-s0--y.log", b"1\n")
    with pytest.raises(WouldWait), repo.branch.ready_to_change(LOG):
        pass  # it is on the branch now, and only git knows what is in it
