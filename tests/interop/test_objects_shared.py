"""Objects, locks and partial files that shoal and the real git-annex share."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from shoal.errors import ContentLocked, RemoteUnavailable
from shoal.git.clock import monotonic
from shoal.git.repository import Repository
from shoal.remotes.base import Caller
from shoal.remotes.local import LocalRemote
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import THERE, key_of
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from
from tests.support.shell import RealShell
from tests.support.wait import wait_until
from tests.support.world import World
from tests.unit.remotes.contract import begin, broken

CALLER = Caller(THERE)
DATA = bytes(range(256)) * 8_000  # 2 MB


async def _put(path: Path, data: bytes, *, chunk: int = 1 << 20) -> Key:
    """Store `data` with shoal, from where the partial file ends, and commit the log."""
    remote = _remote(path)
    key = key_of(data)
    async with await begin(remote, key) as upload:
        content = content_from(data, offset=upload.offset, chunk=chunk)
        assert (await upload.store(content)).stored
    await remote.commit()
    await remote.aclose()
    return key


def _remote(path: Path) -> LocalRemote:
    with Repository.open(path) as repository:
        return LocalRemote(str(path), repository.uuid, name="node")


def _modes(repository: Path, key: Key) -> list[int]:
    with Repository.open(repository) as opened:
        path = Path(opened.objects.location(key))
    return [stat.S_IMODE(place.stat().st_mode) for place in (path, *list(path.parents)[:3])]


# Contents


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("shared", [None, "group", "all", "0660"])
@in_loop
async def test_both_store_alike(world: World, bare: bool, shared: str | None) -> None:
    """The same places and modes; and the real program is content with ours."""
    os.umask(0o022)
    repo = world.make("repo", bare=bare)
    if shared is not None:
        world.git(repo, "config", "core.sharedRepository", shared)
    ours = await _put(repo, b"stored by shoal")
    theirs = key_of(b"stored by git-annex")
    with RealShell(repo) as shell:
        assert shell.put(theirs, b"stored by git-annex") == "SUCCESS"
    assert _modes(repo, ours) == _modes(repo, theirs)
    for key in (ours, theirs):
        assert "verification of content failed" not in world.annex(repo, "fsck", "--key", str(key))
        world.annex(repo, "contentlocation", str(key))
        assert world.annex(repo, "whereis", "--key", str(key)).count("[here]") == 1
    with Repository.open(repo) as opened:
        assert set(opened.objects.keys()) == {ours, theirs}


@in_loop
async def test_either_removes_what_the_other_stored(world: World) -> None:
    """And leaves the same: nothing."""
    repo = world.make("repo", bare=True)
    remote = _remote(repo)
    ours = await _put(repo, b"stored by shoal")
    with RealShell(repo) as shell:
        assert shell.ask(f"REMOVE {ours}") == "SUCCESS"
        theirs = key_of(b"x")
        assert shell.put(theirs, b"x") == "SUCCESS"
    assert not await remote.check_present(ours)
    assert (await remote.remove(theirs, caller=CALLER)).removed
    assert list((repo / "annex" / "objects").iterdir()) == []
    await remote.commit()
    await remote.aclose()
    done = world.run("git-annex", "whereis", "--key", str(theirs), cwd=repo, check=False)
    assert "0 copies" in done.stdout


# Transfers


@in_loop
async def test_a_real_upload_goes_on_with_shoal(world: World) -> None:
    """And excludes shoal while it runs; what it left when it broke off is resumed."""
    repo = world.make("repo", bare=True)
    remote = _remote(repo)
    key = key_of(DATA)
    shell = RealShell(repo)
    assert shell.ask(f"PUT  {key}") == "PUT-FROM 0"
    shell.send(b"DATA %d\n" % len(DATA) + DATA[:1_000_000])
    partial = repo / "annex" / "tmp" / str(key)
    wait_until(lambda: partial.exists() and partial.stat().st_size >= 900_000)
    with pytest.raises(Exception, match="transfer already in progress"):
        await remote.begin_store(key, caller=CALLER)
    shell.end()
    async with await begin(remote, key) as upload:
        assert 900_000 <= upload.offset <= 1_000_000
        rest = content_from(DATA, offset=upload.offset, chunk=1 << 16)
        assert (await upload.store(rest)).stored
    await remote.aclose()


@in_loop
async def test_a_broken_upload_goes_on_with_the_real_program(world: World) -> None:
    """And excludes it while it runs."""
    repo = world.make("repo", bare=True)
    remote = _remote(repo)
    key = key_of(DATA)
    upload = await begin(remote, key)
    shell = RealShell(repo)
    assert shell.ask(f"PUT  {key}") == "PUT-FROM 0"
    shell.send(b"DATA %d\n" % len(DATA))
    assert "transfer already in progress" in shell.end()
    with pytest.raises(RemoteUnavailable):
        async with upload:
            await upload.store(broken(DATA, 0, 1_500_000))
    with RealShell(repo) as shell:
        assert shell.ask(f"PUT  {key}") == "PUT-FROM 1500000"
        shell.send(b"DATA %d\n%sVALID\n" % (len(DATA) - 1_500_000, DATA[1_500_000:]))
        assert shell.read() == "SUCCESS"
    assert await remote.check_present(key)
    await remote.aclose()


@in_loop
async def test_get_respects_our_download(world: World) -> None:
    """A real `git annex get` of a key that shoal receives fails at once, then works."""
    origin = world.make("origin")
    key = Key.parse(world.add(origin, "file", DATA).encode())
    world.run("git", "clone", "-q", origin, world.root / "clone")
    clone = world.root / "clone"
    world.annex(clone, "init", "clone")
    with Repository.open(clone) as repository:
        receiving = repository.objects.receive(key, THERE)
        receiving.write([DATA[:1_000_000]])
        refused = world.run("git-annex", "get", "file", cwd=clone, check=False)
        assert refused.returncode == 1
        assert "transfer already in progress" in refused.stderr
        receiving.end(failed=True)
        world.annex(clone, "get", "file")
        assert repository.objects.present(key)
        assert (clone / "file").read_bytes() == DATA


def test_info_shows_our_transfers(world: World) -> None:
    """The real program reads them, and takes away what a dead process left."""
    repo = world.make("repo")
    key = Key.parse(b"SHA256E-s1000--%s.txt" % (b"0" * 64))
    with Repository.open(repo) as repository:
        transfers = repository.objects.transfers
        transfer = transfers.begin_download(key, repository.uuid, "some file.txt")
        transfer.progress(500)
        assert "some file.txt" in world.annex(repo, "info")
        transfer.end(failed=None)
        assert "some file.txt" not in world.annex(repo, "info")


# Locks


def _drop(world: World, repo: Path, name: str) -> subprocess.CompletedProcess[str]:
    return world.run("git-annex", "drop", "--force", name, cwd=repo, check=False)


def test_our_promise_keeps_content_from_a_real_drop(world: World) -> None:
    """While it is held, and after a crash until its time is over."""
    repo = world.make("repo")
    key = Key.parse(world.add(repo, "file", b"content").encode())
    with Repository.open(repo) as repository:
        objects = repository.objects
        for retention in (None, 600.0):
            with objects.lock_shared(key, retention):
                refused = _drop(world, repo, "file")
                assert refused.returncode == 1
                assert "content is locked" in refused.stderr
        directory = Path(objects.location(key)).parent
        assert [path.name for path in directory.iterdir()] == [str(key)]
        objects.lock_shared(key, 600).abandon()
        refused = _drop(world, repo, "file")
        assert "content is locked" in refused.stderr
        objects.lock_shared(key, 0.0).release()
        assert "content is locked" in _drop(world, repo, "file").stderr
        for name in (f"{key}.rtm", f"{key}.rtl"):
            directory.chmod(0o755)
            (directory / name).unlink()
        assert _drop(world, repo, "file").returncode == 0
        assert not objects.present(key)


def test_a_promise_that_ran_out_is_none(world: World) -> None:
    """The real program removes the content, and the old time with it."""
    repo = world.make("repo")
    key = Key.parse(world.add(repo, "file", b"content").encode())
    with Repository.open(repo) as repository:
        repository.objects.lock_shared(key, 0.0).abandon()
        directory = Path(repository.objects.location(key)).parent
        assert (directory / f"{key}.rtm").exists()
        assert _drop(world, repo, "file").returncode == 0
        assert not directory.exists()


def test_nobody_promises_what_we_remove(world: World) -> None:
    """The real program sees the removal under way, and says that it does not know."""
    repo = world.make("repo")
    key = Key.parse(world.add(repo, "file", b"content").encode())
    with Repository.open(repo) as repository:
        with repository.objects.lock_removal(key):
            asked = world.run("git-annex-shell", "inannex", repo, str(key), check=False)
            assert asked.returncode == 100
            assert _drop(world, repo, "file").returncode == 1
            with RealShell(repo) as shell:
                assert shell.ask(f"LOCKCONTENT {key}") == "FAILURE"
                assert shell.ask(f"CHECKPRESENT {key}") == "SUCCESS"
        asked = world.run("git-annex-shell", "inannex", repo, str(key), check=False)
        assert asked.returncode == 0


@in_loop
async def test_a_real_promise_keeps_content_from_us(world: World) -> None:
    """While the session lasts; after a crash for ten minutes."""
    repo = world.make("repo", bare=True)
    remote = _remote(repo)
    key = await _put(repo, b"content")
    with RealShell(repo) as shell:
        assert shell.ask(f"LOCKCONTENT {key}") == "SUCCESS"
        assert (await remote.remove(key, caller=CALLER)).error == "content is locked"
    assert (await remote.remove(key, caller=CALLER)).removed
    await _put(repo, b"content")
    shell = RealShell(repo)
    assert shell.ask(f"LOCKCONTENT {key}") == "SUCCESS"
    shell.kill()
    shell.end()
    assert (await remote.remove(key, caller=CALLER)).error == "content is locked"
    await remote.aclose()


def test_a_move_respects_our_promise(world: World) -> None:
    """`git annex move --to` copies, and leaves our copy."""
    repo = world.make("repo")
    key = Key.parse(world.add(repo, "file", b"content").encode())
    world.run("git", "clone", "-q", repo, world.root / "other")
    world.annex(world.root / "other", "init", "other")
    world.git(repo, "remote", "add", "other", world.root / "other")
    with Repository.open(repo) as repository, repository.objects.lock_shared(key):
        moved = world.run("git-annex", "move", "file", "--to=other", cwd=repo, check=False)
        assert moved.returncode == 1
        assert repository.objects.present(key)
    with Repository.open(world.root / "other") as other:
        assert other.objects.present(key)
    world.annex(repo, "move", "file", "--to=other")


def test_timestamps_are_shared(world: World) -> None:
    """REMOVE-BEFORE means the same second to both."""
    repo = world.make("repo", bare=True)
    with RealShell(repo) as shell:
        before = int(monotonic())
        theirs = int(shell.ask("GETTIMESTAMP").removeprefix("TIMESTAMP "))
        assert before <= theirs <= int(monotonic())


# Unlocked files


@pytest.mark.parametrize("thin", [False, True])
@in_loop
async def test_unlocked_files_follow_for_git_too(world: World, thin: bool) -> None:
    """Filled and emptied by either program; `git status` stays clean, with the real filters."""
    repo = world.make("repo")
    if thin:
        world.git(repo, "config", "annex.thin", "true")
    world.git(repo, "config", "annex.addunlocked", "true")
    key = Key.parse(world.add(repo, "file", DATA).encode())
    pointer = f"/annex/objects/{key}\n".encode()
    _drop(world, repo, "file")
    assert (repo / "file").read_bytes() == pointer
    remote = _remote(repo)
    async with await begin(remote, key) as upload:
        assert (await upload.store(content_from(DATA, chunk=1 << 20))).stored
    assert (repo / "file").read_bytes() == DATA
    assert world.git(repo, "status", "--porcelain") == ""
    assert world.git(repo, "diff", "--name-only") == ""
    assert "ok" in world.annex(repo, "fsck", "file")
    assert (await remote.remove(key, caller=CALLER)).removed
    assert (repo / "file").read_bytes() == pointer
    assert world.git(repo, "status", "--porcelain") == ""
    async with await begin(remote, key) as upload:
        assert (await upload.store(content_from(DATA, chunk=1 << 20))).stored
    _drop(world, repo, "file")
    assert (repo / "file").read_bytes() == pointer
    assert world.git(repo, "status", "--porcelain") == ""
    await remote.aclose()


@pytest.mark.parametrize("fraction", ["025528473", "217528600", "500000000", "000000000"])
def test_our_filled_files_are_known_to_be_annexed(world: World, fraction: str) -> None:
    """Even where annex.largefiles would not have them: git add keeps them annexed. That is
    known from the file's time, whose fraction of a second has a form of its own."""
    repo = world.make("repo")
    key = Key.parse(world.add(repo, "file", b"content\n").encode())
    world.annex(repo, "unlock", "file")
    world.git(repo, "commit", "-qm", "unlocked")
    _drop(world, repo, "file")
    world.git(repo, "config", "annex.largefiles", "nothing")
    with Repository.open(repo) as repository:
        source = Path(repository.annex_path("incoming"))
        source.write_bytes(b"content\n")
        time = int("1500000000" + fraction)
        os.utime(source, ns=(time, time))
        repository.objects.place(key, str(source))
    assert (repo / "file").read_bytes() == b"content\n"
    os.utime(repo / ".git" / "index", (1, 1))  # so that git looks at the file again
    world.git(repo, "add", "file")
    assert world.git(repo, "status", "--porcelain") == ""
    assert world.git(repo, "show", ":file") == f"/annex/objects/{key}"


def test_a_locked_removal_is_refused(world: World) -> None:
    """A foreign exclusive lock: nobody else may remove."""
    repo = world.make("repo", bare=True)
    with RealShell(repo) as shell:
        key = key_of(b"x")
        assert shell.put(key, b"x") == "SUCCESS"
        assert shell.ask(f"LOCKCONTENT {key}") == "SUCCESS"
        with Repository.open(repo) as repository, pytest.raises(ContentLocked):
            repository.objects.lock_removal(key)
        assert UUID(world.git(repo, "config", "annex.uuid"))
