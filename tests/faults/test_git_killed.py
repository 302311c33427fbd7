"""kill -9 in the middle of changes, commits and merges: nothing acknowledged is ever lost.

Whoever comes next, shoal or the real git-annex, finds a repository that it can go on with.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.git.locks import Locker
from shoal.git.repository import Repository
from shoal.values.key import Key
from tests.support.gitrepo import BRANCH, git, put_on_branch
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("close_repositories")
_REMOTE = "refs/remotes/o/git-annex"

# Says on standard output what is recorded for certain, line by line, and kills itself just
# before its N-th step: the start of a git command, or a change of a directory.
_WORKER = """
import os, signal, sys
from shoal.git.process import Git
from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID

left = int(sys.argv[2])

def counting(real):
    def step(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return step

repo = Repository.open(sys.argv[1])
Git.start = counting(Git.start)
for name in ("rename", "unlink", "mkdir"):
    setattr(os, name, counting(getattr(os, name)))
for round in range(int(sys.argv[3])):
    for number in range(3):
        key = Key.parse(b"MD5-s%d--key_%d" % (number, number))
        repo.logs.set_location(key, UUID(f"{sys.argv[4]}-{round}"), True)
        os.write(1, b"%d %s-%d\\n" % (number, sys.argv[4].encode(), round))
    repo.branch.update()
    repo.branch.commit()
os.write(1, b"done\\n")
repo.close()
"""


def _start(path: Path, step: int, rounds: int, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(path), str(step), str(rounds), name],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _acknowledged(output: str) -> set[tuple[int, str]]:
    *lines, _ = output.split("\n")  # the last one may have been cut off
    words = [line.split() for line in lines if line != "done"]
    return {(int(number), uuid) for number, uuid in words}


def _check(world: World, path: Path, recorded: set[tuple[int, str]], by_shoal: bool) -> None:
    """Let the next process go on, then look for everything that was recorded."""
    if by_shoal:
        with Repository.open(path) as repo:
            repo.branch.update()
            repo.branch.commit()
    else:
        world.annex(path, "merge")
    with Repository.open(path) as repo:
        assert repo.branch.journal.is_empty()
        for number in range(3):
            logged = repo.logs.locations(Key.parse(b"MD5-s%d--key_%d" % (number, number)))
            assert {uuid for n, uuid in recorded if n == number} <= logged
        assert repo.branch.read("pushed.log") == b"p\n"
        assert repo.branch.read("here.log") == b"h\n"
        for name in ("journal", "othertmp", "index"):
            with Locker().exclusive(repo.annex_path(f"{name}.lck")):
                pass
    assert git(path, "fsck", "--connectivity-only", "--no-dangling") == ""
    world.annex(path, "merge")
    assert os.listdir(path / ".git" / "annex" / "journal") == []


@pytest.fixture
def prepared(world: World) -> Path:
    path = world.make("repo")
    tip = git(path, "rev-parse", BRANCH)
    files = {
        "uuid.log": git(path, "cat-file", "-p", f"{BRANCH}:uuid.log") + "\n",
        "here.log": "h\n",
    }
    put_on_branch(path, files, parents=(tip,))
    world.annex(path, "merge")
    put_on_branch(path, {"pushed.log": "p\n"}, ref=_REMOTE)
    return path


def test_at_every_step(world: World, prepared: Path) -> None:
    step = 0
    while True:
        step += 1
        path = Path(shutil.copytree(prepared, world.root / f"copy{step}", symlinks=True))
        worker = _start(path, step, 2, "w")
        output, _ = worker.communicate(timeout=60)
        recorded = _acknowledged(output)
        _check(world, path, recorded, by_shoal=step % 2 == 0)
        shutil.rmtree(path)
        if "done" in output:
            break
        assert worker.returncode == -signal.SIGKILL
    assert step > 25  # it did die in many places
    assert len(recorded) == 6


@pytest.mark.parametrize("whole_group", [False, True])
def test_at_random_moments(world: World, prepared: Path, whole_group: bool) -> None:
    """One repository, killed again and again, with or without its git commands."""
    dice = random.Random(7)
    recorded: set[tuple[int, str]] = set()
    for attempt in range(20):
        worker = _start(prepared, 0, 1000, f"w{attempt}")
        assert worker.stdout is not None
        first = worker.stdout.readline()
        try:
            worker.wait(timeout=dice.uniform(0.0, 0.12))
        except subprocess.TimeoutExpired:
            kill = os.killpg if whole_group else os.kill
            kill(worker.pid, signal.SIGKILL)
        output = worker.stdout.read()  # not communicate(), which misses what is in the buffer
        worker.stdout.close()
        assert worker.wait(timeout=60) == -signal.SIGKILL
        recorded |= _acknowledged(first + output)
        # A git that is killed while it moves a branch leaves its lock. Nothing but its message
        # helps then, which tells the user to remove that: another git could be at work.
        (prepared / ".git" / f"{BRANCH}.lock").unlink(missing_ok=True)
        if attempt % 5 == 4:
            put_on_branch(prepared, {"pushed.log": "p\n", f"p{attempt}": "x\n"}, ref=_REMOTE)
            _check(world, prepared, recorded, by_shoal=attempt % 2 == 0)
    assert len(recorded) > 20


def test_the_journal_lock_outlives_its_holder_while_git_works(world: World) -> None:
    """A git command that goes on after its parent died must not be overtaken."""
    path = world.make("repo")
    code = (
        "import os, signal, sys\n"
        "from shoal.git.repository import Repository\n"
        "repo = Repository.open(sys.argv[1])\n"
        "with repo.branch.locked_index() as index:\n"
        "    index.prepare()\n"
        "    index._git.start('-c', 'alias.w=!echo started >&2; cat', 'w', stdin=0, stderr=2)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert worker.stderr is not None
    assert worker.stderr.readline() == b"started\n"
    assert worker.wait(timeout=60) == -signal.SIGKILL
    lock_file = str(path / ".git" / "annex" / "journal.lck")
    assert Locker().try_exclusive(lock_file) is None
    assert worker.stdin is not None
    worker.stdin.close()
    worker.stderr.read()  # ends when the command has ended
    worker.stderr.close()
    with Locker().exclusive(lock_file):
        pass
