"""Files that shoal adds or filters, seen by the real git-annex, and the other way round."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from shoal.git.ingest import Ingester
from shoal.git.repository import Repository
from shoal.git.smudge import update
from shoal.git.staging import Stager
from shoal.values.key import Key
from tests.support.annexrepo import key_of
from tests.support.filters import use_filters
from tests.support.world import World

CONTENT = b"content\n" * 5_000
_PAST = 1_500_000_000


def _write(repo: Path, name: str, content: bytes = CONTENT) -> None:
    (repo / name).write_bytes(content)
    os.utime(repo / name, (_PAST, _PAST))


def _add(repo: Path, name: str, *, unlocked: bool) -> Key:
    with Repository.open(repo) as repository, Stager(repository) as stager:
        ingested = Ingester(repository).add(name, b"SHA256E", unlocked=unlocked)
        stager.add(ingested.staged)
        repository.branch.commit()
    return ingested.key


def _look(repo: Path, name: str) -> tuple[object, ...]:
    """What a file and its object look like, apart from names and inodes."""
    file = repo / name
    with Repository.open(repo) as repository:
        key = key_of(CONTENT, extension=b"")
        path = repository.objects.path(key)
        assert path is not None
        found, obj = file.lstat(), os.stat(path)
        log = repository.logs.location_log(key)
    staged = subprocess.run(
        ["git", "ls-files", "--stage", "--", name], cwd=repo, capture_output=True, check=True
    )
    return (
        stat.filemode(found.st_mode),
        found.st_mtime,
        os.readlink(file) if file.is_symlink() else "",
        stat.filemode(obj.st_mode),
        obj.st_nlink,
        stat.filemode(os.stat(os.path.dirname(path)).st_mode),
        [status.value for status in log.values()],
        staged.stdout,
    )


@pytest.mark.parametrize("unlocked", [False, True])
@pytest.mark.parametrize("thin", [False, True])
def test_both_add_alike(world: World, unlocked: bool, thin: bool) -> None:
    """File, object, log and index look the same; each finds the other's in order."""
    looks = []
    for name in ("shoal", "real"):
        repo = world.make(name)
        world.git(repo, "config", "annex.addunlocked", str(unlocked).lower())
        world.git(repo, "config", "annex.thin", str(thin).lower())
        _write(repo, "file")
        if name == "shoal":
            _add(repo, "file", unlocked=unlocked)
        else:
            world.annex(repo, "add", "--quiet", "file")
        looks.append(_look(repo, "file"))
        world.git(repo, "commit", "-qm", "file")
        assert world.git(repo, "status", "--porcelain") == ""
        world.annex(repo, "fsck", "--quiet")
        assert world.annex(repo, "find", "--in=here").split() == ["file"]
    assert looks[0] == looks[1]


def test_our_filters_do_what_the_real_ones_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same index and work tree after adding, editing, committing and going back."""
    listings = []
    for name in ("shoal", "real"):
        repo = world.make(name)
        world.git(repo, "config", "annex.largefiles", "largerthan=1kb")
        if name == "shoal":
            use_filters(repo, monkeypatch)
            world.git(repo, "config", "core.hooksPath", "no hooks")
        _write(repo, "large")
        _write(repo, "small", b"small\n")
        _write(repo, ".hidden")
        world.git(repo, "add", ".")
        world.git(repo, "commit", "-qm", "one")
        _write(repo, "large", CONTENT + b"more")
        _write(repo, "small", b"small, but other\n")
        world.git(repo, "add", ".")
        world.git(repo, "commit", "-qm", "two")
        listing = [world.git(repo, "ls-files", "--stage")]
        world.git(repo, "checkout", "-q", "HEAD~1")
        if name == "shoal":
            with Repository.open(repo) as repository:
                update(repository)
        assert (repo / "large").read_bytes() == CONTENT
        listing.append(world.git(repo, "ls-files", "--stage"))
        assert world.git(repo, "status", "--porcelain") == ""
        world.annex(repo, "fsck", "--quiet", "--all")
        listings.append(listing)
    assert listings[0] == listings[1]


def test_the_real_program_fills_what_our_filter_noted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ANNEX/smudge.log is shared; so is ANNEX/restage.log."""
    repo = world.make("repo")
    world.git(repo, "config", "annex.largefiles", "anything")
    use_filters(repo, monkeypatch)
    world.git(repo, "config", "core.hooksPath", "no hooks")
    _write(repo, "file")
    world.git(repo, "add", "file")
    world.git(repo, "commit", "-qm", "file")
    (repo / "file").unlink()
    world.git(repo, "checkout", "file")
    assert (repo / "file").read_bytes().startswith(b"/annex/objects/")
    world.annex(repo, "smudge", "--update")
    assert (repo / "file").read_bytes() == CONTENT
    assert (repo / ".git" / "annex" / "smudge.log").read_text() == ""
    _write(repo, "other", (f"/annex/objects/{key_of(CONTENT, extension=b'')}\n").encode())
    world.git(repo, "add", "other")
    assert (repo / "other").read_bytes() == CONTENT
    assert (repo / ".git" / "annex" / "restage.log").read_text() != ""
    world.annex(repo, "restage")
    assert world.git(repo, "status", "--porcelain") == "A  other"
