"""Gateways that tell each other of changes of the git-annex branch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.gateway.sharing import LogSharing, Pace
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
