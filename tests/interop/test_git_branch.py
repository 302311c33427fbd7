"""The git-annex branch written and read by shoal and the real git-annex in one repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.git.locks import Locker
from shoal.git.pidlock import side_lock_path
from shoal.git.repository import Repository
from shoal.git.transitioning import forget
from shoal.logs.proxy import Proxied
from shoal.logs.transitions import Transition
from shoal.logs.trust import TrustLevel
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.gitrepo import BRANCH, git, put_on_branch
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("close_repositories")
A, B = UUID("11111111-1111-4111-8111-111111111111"), UUID("22222222-2222-4222-8222-222222222222")
KEY = Key.parse(b"MD5-s0--d41d8cd98f00b204e9800998ecf8427e")
_UUID_LOG = f"{A} r1 timestamp=1s\n{B} r2 timestamp=1s\n"


@pytest.fixture
def path(world: World) -> Path:
    return world.make("repo")


@pytest.fixture
def repo(path: Path) -> Repository:
    return Repository.open(path)


def _blobs(path: Path, ref: str = BRANCH) -> dict[str, str]:
    lines = git(path, "ls-tree", "-r", ref).split("\n")
    return {name: info for info, name in (line.split("\t") for line in lines)}


def _whereis(world: World, path: Path, key: Key = KEY) -> set[str]:
    words = ("git-annex", "whereis", "--json", "--key", str(key))
    shown = json.loads(world.run(*words, cwd=path, check=False).stdout)
    return {one["uuid"] for one in (*shown["whereis"], *shown["untrusted"])}


def _twins(world: World, files: dict[str, str]) -> tuple[Path, Path]:
    """Make two repositories that are the same, with more files on the branch."""
    real = world.make("one")
    tip = git(real, "rev-parse", BRANCH)
    own = git(real, "cat-file", "-p", f"{tip}:uuid.log")
    put_on_branch(real, {**files, "uuid.log": f"{own}\n{_UUID_LOG}"}, parents=(tip,))
    world.annex(real, "merge")
    return real, Path(shutil.copytree(real, world.root / "two", symlinks=True))


def test_the_real_program_reads_our_journal_and_our_commits(
    world: World, path: Path, repo: Repository
) -> None:
    git(path, "config", "annex.alwayscommit", "false")
    repo.logs.set_location(KEY, A, True)
    assert _whereis(world, path) == {A}
    assert not repo.branch.journal.is_empty()
    repo.logs.set_location(KEY, B, True)
    repo.branch.commit()
    assert _whereis(world, path) == {A, B}
    git(path, "config", "annex.alwayscommit", "true")
    repo.logs.set_location(KEY, A, False)
    world.annex(path, "merge")
    assert repo.branch.journal.is_empty()
    assert repo.logs.locations(KEY) == {B}


def test_we_read_its_journal_and_its_commits(world: World, path: Path, repo: Repository) -> None:
    assert repo.logs.locations(KEY) == frozenset()
    repo.logs.set_description(A, "described")
    world.annex(path, "setpresentkey", str(KEY), A, "1")
    assert not repo.branch.journal.is_empty()
    repo.refresh()
    assert repo.logs.locations(KEY) == {A}
    world.annex(path, "merge")
    world.annex(path, "dead", A)
    world.annex(path, "setpresentkey", str(KEY), B, "1")
    repo.refresh()
    assert repo.logs.locations(KEY) == {B}
    assert repo.logs.trust(A) is TrustLevel.DEAD


def test_the_same_changes_give_the_same_branch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blob for blob, with settings, locations, commits and a merge, in the same order."""
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "100s")
    real, ours = _twins(world, {})
    logs = Repository.open(ours).logs
    commit = Repository.open(ours).branch.commit
    steps: list[tuple[tuple[str, ...], Callable[[], object]]] = [
        (("setpresentkey", str(KEY), B, "1"), lambda: logs.set_location(KEY, B, True)),
        (("setpresentkey", str(KEY), A, "1"), lambda: logs.set_location(KEY, A, True)),
        (("setpresentkey", str(KEY), B, "0"), lambda: logs.set_location(KEY, B, False)),
        (("trust", "--force", A), lambda: logs.set_trust(A, TrustLevel.TRUSTED)),
        (("group", A, "x"), lambda: logs.set_groups(A, ["x"])),
        (("group", A, "backup"), lambda: logs.set_groups(A, ["x", "backup"])),
        (("wanted", A, "standard or present"), lambda: logs.set_wanted(A, "standard or present")),
        (("required", B, "include=*.x"), lambda: logs.set_required(B, "include=*.x")),
        (("groupwanted", "x", "anything"), lambda: logs.set_group_wanted("x", "anything")),
        (("numcopies", "3"), lambda: logs.set_numcopies(3)),
        (("mincopies", "2"), lambda: logs.set_mincopies(2)),
        (("maxsize", A, "10 gb"), lambda: logs.set_max_size(A, 10_000_000_000)),
        (
            ("config", "--set", "annex.dotfiles", "true"),
            lambda: logs.set_config("annex.dotfiles", "true"),
        ),
        (("describe", B, "new words"), lambda: logs.set_description(B, "new words")),
        (("untrust", A), lambda: logs.set_trust(A, TrustLevel.UNTRUSTED)),
    ]
    for words, change in steps:
        world.annex(real, *words)
        change()
        commit()
    world.annex(real, "merge")
    assert _blobs(ours) == _blobs(real)
    for path in (real, ours):
        theirs = {
            "uuid.log": f"{A} there timestamp=50s\n",
            "trust.log": f"{B} 1 timestamp=200s\n",
            "new/file": "b\na\n",
        }
        put_on_branch(path, theirs, ref="refs/remotes/o/git-annex")
    world.annex(real, "merge")
    with Repository.open(ours) as again:
        again.branch.update()
    assert _blobs(ours) == _blobs(real)
    formats = [git(path, "log", "-1", "--format=%s", BRANCH) for path in (real, ours)]
    assert formats == ["merging o/git-annex into git-annex"] * 2


def test_proxies_and_clusters_are_written_alike(
    world: World, path: Path, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "100s")
    for name in ("n1", "n2"):
        node = world.make(name)
        world.git(path, "remote", "add", name, node)
        world.annex(path, "info", name)
        git(path, "config", f"remote.{name}.annex-cluster-node", "mine")
        git(path, "config", f"remote.{name}.annex-proxy", "true")
    world.annex(path, "initcluster", "mine")
    world.annex(path, "updatecluster")
    world.annex(path, "updateproxy")
    repo.refresh()
    before = _blobs(path)
    ((cluster, nodes),) = repo.logs.clusters().items()
    assert nodes == {UUID(git(world.root / name, "config", "annex.uuid")) for name in ("n1", "n2")}
    proxied = repo.logs.proxies(repo.uuid)
    assert {one.name for one in proxied} >= {"n1", "n2"}
    repo.logs.set_cluster(cluster, [])
    repo.logs.set_proxies(repo.uuid, [Proxied(A, "x")])
    repo.branch.commit()
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "100s")
    world.annex(path, "updatecluster")
    world.annex(path, "updateproxy")
    repo.refresh()
    assert repo.logs.clusters()[cluster] == nodes
    assert repo.logs.proxies(repo.uuid) == proxied
    assert set(_blobs(path)) == set(before)


@pytest.mark.parametrize("drop_dead", [False, True])
def test_forgetting_is_alike_and_is_followed_both_ways(
    world: World, monkeypatch: pytest.MonkeyPatch, drop_dead: bool
) -> None:
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "100s")
    files = {
        "trust.log": f"{A} X timestamp=1s\n",
        "group.log": f"{A} a timestamp=1s\n{B} b timestamp=1s\n",
        "maxsize.log": f"1s {A} 5\n1s {B} 6\n",
        "d02/4e7/MD5-s0--d41d8cd98f00b204e9800998ecf8427e.log": f"1s 1 {A}\n1s 1 {B}\n",
        "d02/4e7/MD5-s0--d41d8cd98f00b204e9800998ecf8427e.log.cnk": f"1s {A}:100 3\n",
    }
    real, ours = _twins(world, files)
    made = Transition if drop_dead else [Transition.FORGET_GIT_HISTORY]
    world.annex(real, "forget", "--force", *(["--drop-dead"] if drop_dead else []))
    opened = Repository.open(ours)
    forget(opened, list(made))
    assert _blobs(ours) == _blobs(real)
    subjects = [git(path, "log", "--format=%s", BRANCH) for path in (real, ours)]
    assert subjects[0] == subjects[1]
    # Each of them now meets a branch that did not forget, and one that did.
    for path in (real, ours):
        put_on_branch(
            path, {"group.log": f"{A} late timestamp=2s\n"}, ref="refs/remotes/o/git-annex"
        )
    world.annex(real, "merge")
    opened.branch.update()
    assert _blobs(ours) == _blobs(real)
    for name, follow_with_shoal in (("three", False), ("four", True)):
        path = world.make(name)
        world.git(path, "fetch", "-q", ours, f"{BRANCH}:refs/remotes/o/git-annex")
        if follow_with_shoal:
            with Repository.open(path) as follower:
                follower.branch.update()
        else:
            world.annex(path, "merge")
    fields = ["group.log", "transitions.log", "maxsize.log"]
    three, four = (_blobs(world.root / name) for name in ("three", "four"))
    assert [three.get(name) for name in fields] == [four.get(name) for name in fields]
    subjects = [git(world.root / name, "log", "--format=%s", BRANCH) for name in ("three", "four")]
    assert subjects[0] == subjects[1]


def test_private_logs_are_read_by_both(world: World, path: Path, repo: Repository) -> None:
    git(path, "config", "annex.private", "true")
    repo.refresh()
    repo.logs.set_location(KEY, repo.uuid, True)
    repo.logs.set_location(KEY, B, True)
    assert _whereis(world, path) == {repo.uuid, B}
    other = Key.parse(b"MD5-s1--0cc175b9c0f1b6a831c399e269772661")
    world.annex(path, "setpresentkey", str(other), repo.uuid, "1")
    repo.refresh()
    assert repo.logs.locations(other) == {repo.uuid}
    repo.branch.commit()
    world.annex(path, "merge")
    assert repo.uuid not in "".join(
        git(path, "cat-file", "-p", f"{BRANCH}:{name}") for name in _blobs(path) if "/" in name
    )


def test_an_append_in_place_is_noticed(world: World, path: Path, repo: Repository) -> None:
    for key in ("annex.alwayscompact", "annex.alwayscommit"):
        git(path, "config", key, "false")
    url = "http://example.com/{}"
    log = "d02/4e7/MD5-s0--d41d8cd98f00b204e9800998ecf8427e.log.web"
    for number in range(3):
        world.annex(path, "registerurl", str(KEY), url.format(number))
        repo.refresh()
        assert repo.branch.read(log).count(b"http://") == number + 1
    (name,) = [name for name in repo.branch.journal.names() if name.endswith(".web")]
    with open(path / ".git" / "annex" / "journal" / name, "ab") as file:
        file.write(b"17s 1 http://half")
    assert b"half" not in repo.branch.read(log)
    assert repo.branch.change(log, lambda old: old + b"18s 1 http://whole\n")
    repo.branch.commit()
    assert "half" not in world.annex(path, "whereis", "--json", "--key", str(KEY))
    assert git(path, "cat-file", "-p", f"{BRANCH}:{log}").endswith("18s 1 http://whole")


def test_a_foreign_push_to_the_branch_survives_both(
    world: World, path: Path, repo: Repository
) -> None:
    repo.logs.set_location(KEY, A, True)
    repo.branch.commit()
    other = world.root / "other"
    world.run("git", "clone", "-q", path, other)
    world.annex(other, "init", "other")
    world.annex(other, "setpresentkey", str(KEY), B, "1")
    world.annex(other, "merge")
    repo.logs.set_description(A, "words")  # another file is journalled here
    world.git(other, "push", "-q", "origin", "git-annex")
    repo.refresh()
    assert repo.logs.locations(KEY) == {A, B}
    repo.branch.commit()
    world.annex(path, "merge")
    assert _whereis(world, path) == {A, B}
    repo.refresh()
    assert repo.logs.locations(KEY) == {A, B}
    assert repo.logs.descriptions()[A] == "words"


def test_the_journal_lock_holds_the_real_program_off(
    world: World, path: Path, repo: Repository
) -> None:
    lock = repo.locker.exclusive(repo.lock_path("journal"))
    process = subprocess.Popen(["git-annex", "numcopies", "3"], cwd=path, stdout=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    assert repo.logs.numcopies() is None
    lock.release()
    assert process.wait(timeout=60) == 0
    repo.refresh()
    assert repo.logs.numcopies() == 3


def test_pid_locks_exclude_each_other(world: World, path: Path) -> None:
    git(path, "config", "annex.pidlock", "true")
    git(path, "config", "annex.pidlocktimeout", "2")
    repo = Repository.open(path)
    pidlock = repo.annex_path("pidlock")
    with repo.locker.exclusive(repo.lock_path("journal")):
        assert os.path.exists(pidlock)
        done = world.run("git-annex", "numcopies", "3", cwd=path, check=False)
        assert done.returncode != 0
        assert "pid lock" in done.stderr
        # A child that is told so may go on under our lock.
        env = {**os.environ, **repo.locker.child_environment()}
        child = subprocess.run(["git-annex", "info", "--fast"], cwd=path, env=env, check=False)
        assert child.returncode == 0
    assert not os.path.exists(pidlock)
    world.annex(path, "numcopies", "3")
    assert not os.path.exists(pidlock)
    assert not os.path.exists(side_lock_path(pidlock))
    # And the other way: the real program holds it while an external command runs.
    holder = subprocess.Popen(
        ["git-annex", "setpresentkey", "--batch"],
        cwd=path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write(f"{KEY} {A} 1\n".encode())
    holder.stdin.flush()
    holder.stdout.readline()
    repo.logs.set_location(KEY, B, True)
    repo.branch.commit()
    holder.communicate()
    repo.refresh()
    assert repo.logs.locations(KEY) == {A, B}


def test_a_bare_repository(world: World) -> None:
    path = world.make("bare", bare=True)
    repo = Repository.open(path)
    repo.logs.set_location(KEY, A, True)
    repo.branch.commit()
    world.annex(path, "setpresentkey", str(KEY), B, "1")
    repo.refresh()
    assert repo.logs.locations(KEY) == {A, B}
    assert _whereis(world, path) == {A, B}


class _Failures:
    """Runs functions in threads and raises what any of them raised."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def run(self, *targets: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._guarded, args=(one,)) for one in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.errors == []

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except (AssertionError, OSError, ValueError, RuntimeError) as error:
            self.errors.append(error)


_WRITER = """
import sys
from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID
repo, name, common = Repository.open(sys.argv[1]), sys.argv[2], Key.parse(sys.argv[3].encode())
for i in range(int(sys.argv[4])):
    repo.refresh()
    repo.logs.set_location(common, UUID(f"{name}-{i}"), True)
    repo.logs.set_location(Key.parse(b"MD5-s%d--own" % i), UUID(name), True)
    if i % 10 == 9:
        repo.branch.commit()
repo.branch.commit()
repo.close()
"""


def test_many_writers_lose_nothing(world: World, path: Path) -> None:
    """Two shoal processes and a real batch writer add lines to one log and to logs of their
    own, while the real program merges and somebody pushes to a sibling."""
    count = 60
    real_done = threading.Event()

    def shoal_writer(name: str) -> Callable[[], None]:
        words = [sys.executable, "-c", _WRITER, str(path), name, str(KEY), str(count)]

        def write() -> None:
            world.run(*words)

        return write

    def real_writer() -> None:
        lines = [f"{KEY} real-{i} 1" for i in range(count)]
        lines += [f"MD5-s{i}--own real 1" for i in range(count)]
        words = ["git-annex", "setpresentkey", "--batch"]
        world.run(*words, cwd=path, data="".join(line + "\n" for line in lines).encode())
        real_done.set()

    def merger() -> None:
        number = 0
        while not real_done.is_set():
            ref = f"refs/remotes/o{number % 3}/git-annex"
            put_on_branch(path, {f"pushed/{number}": f"{number}\n"}, ref=ref)
            world.annex(path, "merge")
            number += 1
        pushed.append(number)

    pushed: list[int] = []
    _Failures().run(shoal_writer("one"), shoal_writer("two"), real_writer, merger)
    world.annex(path, "merge")
    repo = Repository.open(path)
    expected = {f"{name}-{i}" for name in ("one", "two", "real") for i in range(count)}
    assert repo.logs.locations(KEY) == expected
    for i in range(count):
        assert repo.logs.locations(Key.parse(b"MD5-s%d--own" % i)) == {"one", "two", "real"}
    assert {name for name in _blobs(path) if name.startswith("pushed/")} >= {
        f"pushed/{number}" for number in range(max(0, pushed[0] - 3), pushed[0])
    }
    assert _whereis(world, path) == expected
    assert repo.branch.journal.is_empty()
    assert os.listdir(repo.annex_path("othertmp")) == []
    assert git(path, "fsck", "--connectivity-only", "--no-dangling") == ""
    assert Locker().try_exclusive(repo.lock_path("journal")) is not None
