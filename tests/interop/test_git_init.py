"""`init` next to the real git-annex: the same result, and neither finds fault with the other."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from shoal.git.init import ensure_initialised, initialise
from shoal.git.repository import Repository, UnsupportedVersion
from shoal.values.key import Key
from tests.support.gitrepo import BRANCH, git, on_branch
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("close_repositories")
# Made to try out SQLite, empty without special remotes, or only naming the branch itself.
_OF_NO_USE = re.compile(r"annex/(fsck|verified-remote|mergedrefs)\b")


def _git_dir(repo: Path, bare: bool) -> Path:
    return repo if bare else repo / ".git"


def _files(git_dir: Path) -> dict[str, str]:
    """Give the files that init makes, with their modes."""
    found = {}
    for directory, subdirectories, names in os.walk(git_dir):
        for name in (*subdirectories, *names):
            path = Path(directory) / name
            relative = str(path.relative_to(git_dir))
            if relative.startswith(("objects", "logs")) or _OF_NO_USE.match(relative):
                continue
            if not name.endswith(".sample"):
                found[relative] = oct(stat.S_IMODE(path.stat().st_mode))
    return found


def _text(path: Path, uuid: str) -> str:
    return path.read_text().replace(uuid, "UUID")


def _both(world: World, bare: bool, *words: str) -> tuple[Path, Path]:
    """Make two repositories; initialise the first with the real program, the other with shoal."""
    paths = []
    for name in ("real", "ours"):
        (world.root / name).mkdir(parents=True)
        path = world.root / name / "same name"
        world.run("git", "init", "-q", *(["--bare"] if bare else []), path)
        paths.append(path)
    real, ours = paths
    world.annex(real, "init", *words)
    initialise(Repository.open(ours), *words)
    return real, ours


@pytest.mark.parametrize("bare", [False, True])
def test_the_result_is_the_same(world: World, bare: bool) -> None:
    real, ours = _both(world, bare, "some words")
    uuids = [git(path, "config", "annex.uuid") for path in (real, ours)]
    real_dir, our_dir = _git_dir(real, bare), _git_dir(ours, bare)
    assert _files(our_dir) == _files(real_dir)
    for name in (
        "config",
        "info/attributes",
        *(f"hooks/{n}" for n in os.listdir(real_dir / "hooks")),
    ):
        if (real_dir / name).is_file():
            assert _text(our_dir / name, uuids[1]) == _text(real_dir / name, uuids[0]), name
    subjects = [git(path, "log", "--format=%an %ae %s", BRANCH) for path in (real, ours)]
    assert subjects[0] == subjects[1]
    log = [
        on_branch(path)["uuid.log"].replace(u, "UUID")
        for path, u in zip((real, ours), uuids, strict=True)
    ]
    assert re.sub(r"\d+s$", "", log[0]) == re.sub(r"\d+s$", "", log[1])


def test_default_descriptions_are_the_same(world: World) -> None:
    real, ours = _both(world, False)
    words = [on_branch(path)["uuid.log"].split(" ", 1)[1] for path in (real, ours)]
    words = [re.sub(r" timestamp=.*", "", one) for one in words]
    assert words[0].replace("/real/", "/ours/") == words[1]


@pytest.mark.parametrize("bare", [False, True])
def test_the_second_program_finds_nothing_to_do(world: World, bare: bool) -> None:
    real, ours = _both(world, bare, "words")
    for path in (real, ours):
        git_dir = _git_dir(path, bare)
        watched = [git_dir / "config", *sorted((git_dir / "hooks").iterdir())]
        before = [one.read_bytes() for one in watched]
        tip = git(path, "rev-parse", BRANCH)
        done = world.run("git-annex", "init", cwd=path)
        assert "warning" not in done.stderr
        assert "already exists" not in done.stderr + done.stdout
        with Repository.open(path) as repository:
            assert initialise(repository) == []
        assert [one.read_bytes() for one in watched] == before
        assert git(path, "rev-parse", BRANCH) == tip


def test_the_real_program_takes_over_from_shoal_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = world.root / "ours"
    world.run("git", "init", "-q", ours)
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    commands = {"pre-commit", "post-receive", "smudge", "filter-process", "pre-push"}
    assert initialise(Repository.open(ours), own_commands=commands) == []
    assert git(ours, "config", "filter.annex.clean") == "git annex smudge --clean -- %f"
    monkeypatch.setenv("PATH", path)
    done = world.run("git-annex", "init", cwd=ours)
    assert "hook" not in done.stdout + done.stderr
    assert "warning" not in done.stderr
    assert git(ours, "config", "filter.annex.clean") == "git-annex smudge --clean -- %f"
    key = world.add(ours, "file", b"content")
    assert key.startswith("SHA256E-s7--")


def test_the_real_program_works_in_what_shoal_initialised(world: World) -> None:
    ours = world.root / "ours"
    world.run("git", "init", "-q", ours)
    initialise(Repository.open(ours), "ours")
    key = world.add(ours, "file", b"content")
    world.annex(ours, "unlock", "file")
    world.git(ours, "commit", "-q", "-a", "-m", "unlocked")
    assert "ours [here]" in world.annex(ours, "whereis", "--key", key)
    world.annex(ours, "fsck")
    assert world.git(ours, "status", "--porcelain") == ""
    opened = Repository.open(ours)
    assert opened.logs.locations(Key.parse(key.encode())) == {opened.uuid}


@pytest.mark.parametrize(
    "tune", ["annex.tune.objecthashlower", "annex.tune.objecthash1", "annex.tune.branchhash1"]
)
def test_tuning_is_recorded_alike(world: World, tune: str) -> None:
    logs = []
    for name in ("real", "ours"):
        path = world.root / name
        world.run("git", "init", "-q", path)
        git(path, "config", tune, "true")
        if name == "real":
            world.annex(path, "init", name)
        else:
            initialise(Repository.open(path), name)
        uuid = git(path, "config", "annex.uuid")
        logs.append(re.sub(r"\d+s$", "", on_branch(path)["difference.log"].replace(uuid, "UUID")))
        git(path, "commit", "-q", "--allow-empty", "-m", "x")
    assert logs[0] == logs[1]
    world.run("git", "clone", "-q", world.root / "ours", world.root / "clone")
    world.annex(world.root / "clone", "init", "clone")
    assert len(on_branch(world.root / "clone")["difference.log"].splitlines()) == 2
    world.run("git", "clone", "-q", world.root / "real", world.root / "clone2")
    ensure_initialised(Repository.open(world.root / "clone2"))
    assert len(on_branch(world.root / "clone2")["difference.log"].splitlines()) == 2
    world.annex(world.root / "clone2", "info", "--fast")


def test_private_repositories_look_alike(world: World) -> None:
    journals = []
    for name in ("real", "ours"):
        path = world.root / name
        world.run("git", "init", "-q", path)
        git(path, "config", "annex.private", "true")
        if name == "real":
            world.annex(path, "init", "words")
        else:
            initialise(Repository.open(path), "words")
        assert on_branch(path) == {}
        uuid = git(path, "config", "annex.uuid")
        private = path / ".git" / "annex" / "journal-private"
        journals.append(
            {
                one.name: re.sub(r"\d+s$", "", one.read_text().strip().replace(uuid, "UUID"))
                for one in private.iterdir()
            }
        )
        assert "words" in world.annex(path, "info", "--fast")
    assert journals[0] == journals[1]


@pytest.mark.parametrize("by_shoal", [False, True])
def test_a_submodule(world: World, by_shoal: bool) -> None:
    origin = world.make("origin")
    world.add(origin, "file", b"content")
    top = world.root / "top"
    world.run("git", "init", "-q", top)
    world.git(top, "submodule", "add", "-q", origin, "sub")
    _init(world, top / "sub", by_shoal)
    assert os.readlink(top / "sub" / ".git") == "../.git/modules/sub"
    world.annex(top / "sub", "get")
    assert (top / "sub" / "file").read_bytes() == b"content"
    assert world.git(top, "submodule", "status").startswith(" ")
    with Repository.open(top / "sub") as opened:
        assert opened.uuid in opened.logs.locations(_key(world, top / "sub"))


@pytest.mark.parametrize("by_shoal", [False, True])
def test_a_linked_work_tree(world: World, by_shoal: bool) -> None:
    origin = world.make("origin")
    world.add(origin, "file", b"content")
    world.run("git", "clone", "-q", origin, world.root / "clone")
    linked = world.root / "linked"
    world.git(world.root / "clone", "worktree", "add", "-q", linked)
    _init(world, linked, by_shoal)
    assert os.readlink(linked / ".git") == "../clone/.git/worktrees/linked"
    annex = world.root / "clone" / ".git" / "annex"
    assert os.path.realpath(linked / ".git" / "annex") == str(annex)
    world.annex(linked, "get")
    for path in (linked, world.root / "clone"):
        assert (path / "file").read_bytes() == b"content"
        with Repository.open(path) as opened:
            assert opened.annex_dir == str(annex)
            assert opened.uuid in opened.logs.locations(_key(world, path))


def _init(world: World, path: Path, by_shoal: bool) -> None:
    if by_shoal:
        initialise(Repository.open(path))
    else:
        world.annex(path, "init")


def _key(world: World, path: Path) -> Key:
    return Key.parse(world.annex(path, "lookupkey", "file").strip().encode())


def test_a_repository_in_another_version_is_left_alone(world: World) -> None:
    path = world.make("old")
    git(path, "config", "annex.version", "9")
    with pytest.raises(UnsupportedVersion):
        Repository.open(path)
    assert git(path, "config", "annex.version") == "9"
