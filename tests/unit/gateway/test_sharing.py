"""Gateways that tell each other of changes of the git-annex branch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.gateway.sharing import LogSharing, Pace, needs_sharing, share_once
from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import make_annex
from tests.support.loop import in_loop, until

A, B, C = (UUID(f"{n}0000000-0000-4000-8000-000000000000") for n in range(1, 4))
CLUSTER = UUID("acaaaaaa-0000-8000-8000-00000000000c")
KEY = Key.parse(b"SHA256E-s3--aaaa.txt")
OTHER = Key.parse(b"SHA256E-s3--bbbb.txt")
QUICK = Pace(look=0.02, fetch=0.2, first_wait=0.05, longest_wait=0.1)
RARELY = Pace(look=0.02, fetch=1000.0, first_wait=0.05, longest_wait=0.1)

pytestmark = pytest.mark.usefixtures("close_repositories")


@pytest.fixture
def chain(tmp_path: Path) -> list[Repository]:
    """Three gateways; the one in the middle knows both others, and is known by them."""
    repos = [make_annex(tmp_path / uuid[0], uuid=uuid, bare=True) for uuid in (A, B, C)]
    for here, there in ((0, 1), (1, 0), (1, 2), (2, 1)):
        repos[here].git.run("remote", "add", f"g{there}", repos[there].path)
        repos[here].config.set(f"remote.g{there}.annex-cluster-gateway", CLUSTER)
    return repos


@asynccontextmanager
async def sharing(*repos: Repository, pace: Pace = QUICK) -> AsyncIterator[list[Exception]]:
    errors: list[Exception] = []

    def one(repo: Repository) -> LogSharing:
        async def freshen() -> None:
            repo.refresh()

        return LogSharing(repo, freshen, errors.append, pace=pace)

    shares = [one(repo) for repo in repos]
    try:
        yield errors
    finally:
        for share in shares:
            await share.aclose()


def store(repo: Repository, key: Key, uuid: UUID) -> None:
    repo.logs.set_locations(key, {uuid: True})
    repo.branch.commit()


def tips(repos: list[Repository]) -> list[str]:
    return [repo.git.line("rev-parse", "git-annex") for repo in repos]


@in_loop
async def test_what_one_stores_all_know(chain: list[Repository]) -> None:
    async with sharing(*chain, pace=RARELY) as errors:
        store(chain[0], KEY, A)
        await until(lambda: A in chain[2].logs.locations(KEY))
        assert A in chain[1].logs.locations(KEY)
        chain[2].logs.set_locations(KEY, {A: False})
        chain[2].branch.commit()
        await until(lambda: A not in chain[0].logs.locations(KEY))
    assert errors == []


@in_loop
async def test_what_was_stored_apart_is_merged_and_then_there_is_peace(
    chain: list[Repository],
) -> None:
    store(chain[0], KEY, A)
    store(chain[2], OTHER, C)
    store(chain[1], KEY, B)
    async with sharing(*chain):
        await until(lambda: all(repo.logs.locations(KEY) == {A, B} for repo in chain))
        await until(lambda: all(repo.logs.locations(OTHER) == {C} for repo in chain))
        before: list[str] = []
        looks = 0

        def is_quiet() -> bool:
            nonlocal before, looks
            looks, before = (looks + 1, before) if tips(chain) == before else (0, tips(chain))
            return looks > 50

        await until(is_quiet)


@in_loop
async def test_a_gateway_that_comes_back_hears_of_all(chain: list[Repository]) -> None:
    """The trouble is told once."""
    url = chain[1].path
    chain[0].config.set("remote.g1.url", "/nowhere")
    async with sharing(chain[0]) as errors:
        store(chain[0], KEY, A)
        await until(lambda: bool(errors))
        chain[0].config.set("remote.g1.url", url)
        await until(lambda: chain[1].refresh() or A in chain[1].logs.locations(KEY))
    assert len(errors) == 1
    assert 'cannot share the git-annex branch with remote "g1"' in str(errors[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shoal.share-log", "false"),
        ("remote.g1.annex-sync", "false"),
        ("remote.g1.annex-ignore", "true"),
        ("remote.g1.annex-push", "false"),
        ("remote.g1.annex-readonly", "true"),
    ],
)
@in_loop
async def test_who_is_not_to_be_told_is_not(chain: list[Repository], name: str, value: str) -> None:
    chain[1].config.set(name.replace("g1", "g0"), value)
    chain[1].config.set("remote.g2.annex-push", "true")
    async with sharing(chain[1]):
        store(chain[1], KEY, B)
        if name != "shoal.share-log":
            await until(lambda: "synced" in chain[2].git.line("for-each-ref"))
    assert "synced" not in chain[0].git.line("for-each-ref")


@in_loop
async def test_what_others_have_is_fetched(chain: list[Repository]) -> None:
    """As from one that cannot push to us; unless that is not wanted."""
    store(chain[0], KEY, A)
    store(chain[2], KEY, C)
    chain[1].config.set("remote.g2.annex-pull", "false")
    async with sharing(chain[1]):
        await until(lambda: A in chain[1].logs.locations(KEY))
    assert C not in chain[1].logs.locations(KEY)


_HOOK = """#!/bin/sh
echo >> {attempts}
echo "shoal: refused: that is not for you to change" >&2
exit 1
"""


def refuse_pushes(repo: Repository, attempts: Path) -> Path:
    """Let a hook refuse all pushes, and write a line for each; give the hook."""
    attempts.touch()
    hook = Path(repo.path) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_HOOK.format(attempts=attempts))
    hook.chmod(0o755)
    return hook


@in_loop
async def test_who_refuses_is_told_again_only_when_something_changed(
    chain: list[Repository], tmp_path: Path
) -> None:
    attempts = tmp_path / "attempts"
    hook = refuse_pushes(chain[1], attempts)

    def count() -> int:
        return len(attempts.read_text().splitlines())

    async def some_rounds() -> None:
        """Let it look, and fetch, several times."""
        for _ in range(3):
            store(chain[1], OTHER, B)
            await until(lambda: B in chain[0].logs.locations(OTHER))
            chain[1].logs.set_locations(OTHER, {B: False})
            chain[1].branch.commit()
            await until(lambda: B not in chain[0].logs.locations(OTHER))

    async with sharing(chain[0]) as errors:
        store(chain[0], KEY, A)
        await until(lambda: bool(errors))
        assert "shoal: refused: that is not for you to change" in str(errors[0])
        before = count()
        for _ in range(3):
            await fetched_again(chain[0])
        assert count() == before
        store(chain[0], OTHER, A)
        await until(lambda: count() > before)
        await fetched_again(chain[0])
        assert len(errors) == 1
        hook.unlink()
        store(chain[0], OTHER, B)
        await until(lambda: A in _there(chain[1], KEY))


async def fetched_again(repo: Repository) -> None:
    """Wait until a gateway has asked another for its branch."""
    file = Path(repo.path) / "FETCH_HEAD"
    before = file.stat().st_mtime_ns
    await until(lambda: file.stat().st_mtime_ns != before)


def _there(repo: Repository, key: Key) -> frozenset[UUID]:
    repo.refresh()
    return repo.logs.locations(key)


@in_loop
async def test_telling_once_what_the_others_lack(chain: list[Repository]) -> None:
    assert not needs_sharing(chain[0])
    store(chain[0], KEY, A)
    store(chain[2], OTHER, C)
    await share_once(chain[2])
    assert needs_sharing(chain[0])
    await share_once(chain[0])
    assert not needs_sharing(chain[0])
    assert _there(chain[1], KEY) == {A}
    assert _there(chain[1], OTHER) == {C}
    assert _there(chain[0], OTHER) == {C}  # or it could not have pushed
    store(chain[0], OTHER, A)
    assert needs_sharing(chain[0])
    for name, value in (("shoal.share-log", "false"), ("remote.g1.annex-push", "false")):
        chain[0].config.set(name, value)
        assert not needs_sharing(chain[0])
        chain[0].config.unset(name)
    Path(chain[1].path).rename(f"{chain[1].path}.away")
    await share_once(chain[0])
    assert needs_sharing(chain[0])
