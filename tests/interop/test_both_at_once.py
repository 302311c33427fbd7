"""shoal and the real git-annex work in one repository at the same time, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shoal.git.repository import Repository
from shoal.values.key import Key
from tests.support.annexrepo import key_of
from tests.support.busy_store import contents
from tests.support.shell import RealShell
from tests.support.world import World

_COUNT = 30


def _start(*words: str | Path, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen([str(word) for word in words], cwd=cwd)


def _expected(name: str) -> tuple[set[Key], set[Key]]:
    """Give which keys of a busy_store process are there at the end, and which are not."""
    keys = [key_of(data) for data in contents(name, _COUNT)]
    return {key for i, key in enumerate(keys) if i % 3}, set(keys[::3])


def test_nothing_is_lost(world: World) -> None:
    """Two processes of shoal, and of the real program an `add`, a `copy`, a drop and sessions
    over the P2P protocol, all at once; then everything is where it was said to be.

    Without -J: several such processes of the real program alone fail here now and then, with
    "Resource deadlock avoided", and leave a copied key without its log.
    """
    repo = world.make("repo")
    other = world.root / "other"
    dropped = [
        Key.parse(world.add(repo, f"dropped {n}", b"dropped %d\n" % n).encode()) for n in range(5)
    ]
    world.run("git", "clone", "-q", repo, other)
    world.annex(other, "init", "other")
    for number in range(20):
        (other / f"copied {number}").write_bytes(b"copied %d\n" % number * 200)
        (repo / f"added {number}").write_bytes(b"added %d\n" % number * 200)
    world.annex(other, "add", "--quiet", ".")
    busy = [sys.executable, "-m", "tests.support.busy_store", str(repo)]
    top = Path(__file__).parent.parent.parent
    running = [
        _start(*busy, "one", str(_COUNT), cwd=top),
        _start(*busy, "two", str(_COUNT), cwd=top),
        _start("git-annex", "add", "--quiet", ".", cwd=repo),
        _start("git-annex", "copy", "--quiet", "--to=origin", ".", cwd=other),
        _start("git-annex", "drop", "--quiet", "--force", *_names(dropped), cwd=repo),
    ]
    with RealShell(repo) as shell:
        for number in range(20):
            data = b"session %d\n" % number * 50
            assert shell.put(key_of(data), data) == "SUCCESS"
            assert shell.ask(f"REMOVE {key_of(data)}") == "SUCCESS"
            assert shell.put(key_of(data), data) == "SUCCESS"
    assert [process.wait(timeout=200) for process in running] == [0] * len(running)
    world.annex(repo, "merge")

    here = {key_of(b"session %d\n" % number * 50) for number in range(20)}
    here |= {Key.parse(k.encode()) for k in _keys(world, repo, "added *")}
    here |= {Key.parse(k.encode()) for k in _keys(world, other, "copied *")}
    gone = set(dropped)
    for name in ("one", "two"):
        present, removed = _expected(name)
        here |= present
        gone |= removed
    assert len(here) == 20 * 3 + 2 * (_COUNT - _COUNT // 3)
    with Repository.open(repo) as repository:
        assert set(repository.objects.keys()) == here
        for key in here:
            assert repository.uuid in repository.logs.locations(key, raw=True), key
        for key in gone:
            assert repository.uuid not in repository.logs.locations(key, raw=True), key
        transfers = Path(repository.annex_path("transfer")).rglob("*SHA256E*")
        assert list(transfers) == []
    checked = world.run("git-annex", "fsck", "--quiet", "--all", cwd=repo, check=False)
    assert [key for key in here if str(key) in checked.stdout + checked.stderr] == []
    world.git(repo, "fsck", "--strict")


def _names(dropped: list[Key]) -> list[str]:
    return [f"dropped {number}" for number in range(len(dropped))]


def _keys(world: World, repo: Path, pattern: str) -> list[str]:
    found = world.annex(repo, "find", "--include", pattern, "--anything", "--format=${key}\\n")
    return found.split()


def test_one_key_is_received_once(world: World) -> None:
    """Whoever of the two is first."""
    repo = world.make("repo", bare=True)
    key = key_of(b"content")
    with Repository.open(repo) as repository, RealShell(repo) as shell:
        for _ in range(3):
            assert shell.put(key, b"content") == "SUCCESS"
            assert shell.ask(f"PUT  {key}") == "ALREADY-HAVE"
            assert repository.objects.present(key)
            with repository.objects.lock_removal(key) as lock:
                lock.remove()
            assert shell.ask(f"CHECKPRESENT {key}") == "FAILURE"
