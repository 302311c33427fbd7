"""shoal and the real git-annex share what they know of sizes, and each other's reservations."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pytest

from shoal.git.repository import Repository
from shoal.values.uuid import UUID
from tests.support.annexrepo import THERE
from tests.support.stalled_remote import StalledRemote
from tests.support.world import World

_TOP = Path(__file__).parent.parent.parent


def database(repo: Path) -> Path:
    return repo / ".git" / "annex" / "reposize" / "db" / "db"


def rows(repo: Path, table: str) -> list[tuple[object, ...]]:
    """Give the rows of a table, in order, without ids."""
    with closing(sqlite3.connect(database(repo))) as db:
        return sorted(row[1:] for row in db.execute(f"SELECT * FROM {table}"))


def shown(world: World, repo: Path) -> str:
    """Check that both programs show the same sizes; give them."""
    with closing(Repository.open(repo)) as repository:
        sizes = repository.sizes.sizes()
    real = world.annex(repo, "maxsize", "--bytes")
    for uuid, size in sizes.items():
        line = next(line for line in real.splitlines() if uuid in line)
        assert int(line.split()[0]) == size
    assert world.run("shoal", "maxsize", "--bytes", cwd=repo).stdout == real
    return real


@pytest.fixture
def repo(world: World) -> Path:
    """A repository with files `five` and `seven`, of as many thousand bytes."""
    repo = world.make("repo")
    world.add(repo, "five", b"5" * 5000)
    world.add(repo, "seven", b"7" * 7000)
    return repo


@pytest.fixture
def slow(world: World, repo: Path, monkeypatch: pytest.MonkeyPatch) -> StalledRemote:
    """A remote for 10 kB that wants what is balanced in its group, and stalls."""
    slow = StalledRemote(world, repo, "slow", monkeypatch)
    world.annex(repo, "group", "slow", "g")
    world.annex(repo, "wanted", "slow", "balanced=g")
    world.annex(repo, "maxsize", "slow", "10kB")
    return slow


def wanted(world: World, repo: Path) -> list[str]:
    """Give what the remote wants by both programs, which must agree."""
    words = ("find", "--want-get-by=slow")
    found = world.annex(repo, *words)
    assert world.run("shoal", *words, cwd=repo).stdout == found
    return found.split()


@contextmanager
def reserving(repo: Path, uuid: UUID, *keys: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process of shoal that has reserved room for keys."""
    command = [sys.executable, "-m", "tests.support.reserving", str(repo), uuid, *keys]
    with subprocess.Popen(
        command, cwd=_TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert _pipe(process.stdout).readline() == "reserved\n"
        try:
            yield process
        finally:
            _pipe(process.stdin).close()


@contextmanager
def copying(repo: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run the real program's `copy --auto`; it does not outlive a test that fails."""
    with subprocess.Popen(
        ["git-annex", "copy", "--auto", "--to=slow", *words],
        cwd=repo,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        process.communicate()


def tell(process: subprocess.Popen[str], what: str) -> None:
    """Tell the process what to do, and wait until that is done."""
    _pipe(process.stdin).write(f"{what}\n")
    _pipe(process.stdin).flush()
    assert _pipe(process.stdout).readline() == "done\n"


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@pytest.mark.parametrize("first", ["git-annex", "shoal"])
def test_either_goes_on_with_what_the_other_counted(world: World, repo: Path, first: str) -> None:
    other = {"git-annex": "shoal", "shoal": "git-annex"}[first]
    world.run(first, "maxsize", cwd=repo)
    made = os.stat(database(repo)).st_ino
    commit = world.git(repo, "rev-parse", "git-annex")
    assert rows(repo, "annex_branch") == [(commit,)]
    assert [size for _, size in rows(repo, "repo_sizes")] == ["12000"]
    world.add(repo, "three", b"3" * 3000)
    world.annex(repo, "drop", "--force", "--quiet", "five")
    moved = world.git(repo, "rev-parse", "git-annex")
    world.run(other, "maxsize", cwd=repo)
    assert rows(repo, "annex_branch") == [(moved,)] != [(commit,)]
    assert [size for _, size in rows(repo, "repo_sizes")] == ["10000"]
    assert os.stat(database(repo)).st_ino == made
    assert "10000 " in shown(world, repo)


def test_what_is_journalled_counts_for_both(world: World, repo: Path) -> None:
    world.annex(repo, "maxsize")
    world.git(repo, "config", "annex.alwayscommit", "false")
    world.add(repo, "three", b"3" * 3000)
    world.annex(repo, "drop", "--force", "--quiet", "five")
    assert "10000 " in shown(world, repo)
    assert [size for _, size in rows(repo, "repo_sizes")] == ["12000"]


def test_a_transfer_of_the_real_program_has_its_room(
    world: World, repo: Path, slow: StalledRemote
) -> None:
    assert wanted(world, repo) == ["five", "seven"]
    with closing(Repository.open(repo)) as repository:
        repository.sizes.live_sizes()
        with copying(repo, "five") as process:
            slow.wait_until_stalled()
            assert len(rows(repo, "live_size_changes")) == 1
            assert repository.sizes.live_size(slow.uuid) == 5000
            assert repository.sizes.size(slow.uuid) == 0
            assert wanted(world, repo) == ["five"]
            assert " 0 " in shown(world, repo).replace("0    10000", "0 ")
            slow.go_on()
        assert process.returncode == 0
        assert repository.sizes.live_size(slow.uuid) == 5000
        repository.refresh()
        assert repository.sizes.size(slow.uuid) == 5000
    assert wanted(world, repo) == ["five"]


def test_a_reservation_of_shoal_is_respected(world: World, repo: Path, slow: StalledRemote) -> None:
    """Until it is given up, or made: then the real program finds what it would have written."""
    key = world.annex(repo, "lookupkey", "five").strip()
    with reserving(repo, slow.uuid, key) as process:
        (row,) = rows(repo, "live_size_changes")
        assert row == (slow.uuid.encode(), key.encode(), row[2], str(process.pid), 1)
        assert wanted(world, repo) == ["five"]
        world.annex(repo, "copy", "--quiet", "--auto", "--to=slow", "seven")  # nothing to do
        tell(process, "cancel")
        assert wanted(world, repo) == ["five", "seven"]
    with reserving(repo, slow.uuid, key) as process:
        tell(process, "store")
        assert rows(repo, "live_size_changes") == []
        assert rows(repo, "size_changes") == [(slow.uuid.encode(), "5000")]
        assert rows(repo, "recent_changes") == [(slow.uuid.encode(), key.encode(), 1)]
        assert wanted(world, repo) == ["five"]
    assert "5000 " in shown(world, repo)


def test_a_real_process_hears_of_what_shoal_finished_while_it_ran(
    world: World, repo: Path, slow: StalledRemote
) -> None:
    """It has counted before; from then on it only looks at the rolling total."""
    world.add(repo, "one", b"1")
    key = world.annex(repo, "lookupkey", "five").strip()
    with copying(repo, "--batch") as real:
        stdin, stdout = _pipe(real.stdin), _pipe(real.stdout)
        stdin.write("one\n")
        stdin.flush()
        slow.wait_until_stalled()
        with reserving(repo, slow.uuid, key) as process:
            slow.go_on()
            while stdout.readline() != "ok\n":
                pass
            tell(process, "store")
        stdin.write("seven\n")
        stdin.flush()
        assert stdout.readline() == "\n", "there is no room for it any more"


@pytest.mark.parametrize("first", ["git-annex", "shoal"])
def test_what_a_killed_process_reserved_is_free_again(
    world: World, repo: Path, slow: StalledRemote, first: str
) -> None:
    key = world.annex(repo, "lookupkey", "five").strip()
    words = (first, "find", "--want-get-by=slow")
    with reserving(repo, slow.uuid, key) as process:
        assert world.run(*words, cwd=repo).stdout.split() == ["five"]
        process.kill()
        process.wait()
        assert len(rows(repo, "live_size_changes")) == 1
    assert world.run(*words, cwd=repo).stdout.split() == ["five", "seven"]
    assert rows(repo, "live_size_changes") == []
    assert wanted(world, repo) == ["five", "seven"]


def test_what_a_killed_real_process_reserved_is_free_again(
    world: World, repo: Path, slow: StalledRemote
) -> None:
    with copying(repo, "five") as process:
        slow.wait_until_stalled()
        process.kill()
    slow.go_on()
    assert len(rows(repo, "live_size_changes")) == 1
    found = world.run("shoal", "find", "--want-get-by=slow", cwd=repo).stdout
    assert found.split() == ["five", "seven"]
    assert rows(repo, "live_size_changes") == []
    assert os.listdir(repo / ".git" / "annex" / "reposize" / "live") == []


def test_nobody_is_held_up_by_a_busy_process(world: World, repo: Path, slow: StalledRemote) -> None:
    """Threads of one process that reserve and record all the time, and commands beside it."""
    command = [sys.executable, "-m", "tests.support.busy_reserving", str(repo), slow.uuid]
    with subprocess.Popen(
        command, cwd=_TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as busy:
        assert _pipe(busy.stdout).readline() == "busy\n"
        taken = []
        for words in [
            ("git-annex", "maxsize"),
            ("git-annex", "find", "--want-get-by=slow"),
            ("git-annex", "info", "--fast"),
            ("shoal", "maxsize"),
        ] * 2:
            start = time.monotonic()
            world.run(*words, cwd=repo)
            taken.append(time.monotonic() - start)
        _pipe(busy.stdin).close()
        made = int(_pipe(busy.stdout).readline())
    assert busy.returncode == 0
    assert max(taken) < 60, f"{taken} seconds beside {made} uploads"
    assert rows(repo, "live_size_changes") == []


@pytest.mark.parametrize("program", ["git-annex-shell", "shoal-shell"])
def test_who_uploads_to_a_repository_itself_is_not_asked_for_sizes(
    world: World, repo: Path, program: str
) -> None:
    """Maximum sizes are for those who choose; who addresses a repository has chosen."""
    world.annex(repo, "maxsize", ".", "10kB")
    content = b"9" * 9000
    world.run("tee", "nine", data=content)
    key = world.annex(repo, "calckey", world.root / "nine").strip()
    with subprocess.Popen(
        [program, "p2pstdio", repo, THERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        stdin, stdout = _pipe(shell.stdin), _pipe(shell.stdout)
        stdin.write(f"VERSION 4\nPUT  {key}\n")
        stdin.flush()
        assert [next(stdout) for _ in range(3)][-1] == "PUT-FROM 0\n"
        world.run("shoal", "maxsize", cwd=repo)
        assert rows(repo, "live_size_changes") == [], "nobody else chooses by what comes here"
        stdin.write(f"DATA {len(content)}\n{content.decode()}VALID\n")
        stdin.flush()
        assert next(stdout) == "SUCCESS\n"
        stdin.close()
    assert " 21000 " in shown(world, repo)
