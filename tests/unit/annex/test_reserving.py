"""--auto reserves the room for what it sends, when sizes decide what is wanted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shoal.annex.copying import Copying
from shoal.annex.getting import Getting
from shoal.annex.matching import Candidate
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE
from tests.support.client import Client
from tests.support.loop import in_loop

DATA = b"some content"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(tmp_path)
    yield made
    made.close()


def want(client: Client, repo: UUID, expression: str, size: int = 100) -> None:
    """Let a repository want the expression, in group g, with a maximum size."""
    logs = client.repository.logs
    logs.set_description(repo, "it")
    logs.set_groups(repo, ["g"])
    logs.set_wanted(repo, expression)
    logs.set_max_size(repo, size)


def reserved(client: Client) -> list[str]:
    """Give the repositories that processes are adding keys to, as others see it."""
    path = Path(client.repository.annex_path("reposize", "db", "db"))
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT repo FROM live_size_changes WHERE change = 1").fetchall()
    return [repo.decode() for (repo,) in found]


@in_loop
async def test_a_copy_has_its_room_from_the_decision_to_the_end(client: Client) -> None:
    a = client.remote("a")
    want(client, a.uuid, "balanced=g")
    key = Candidate(client.put(DATA))
    other = Candidate(client.put(b"x" * 90))
    gate = a.hold("store")
    async with client.network() as network:
        copying = Copying(network, client.settings(a), auto=True)
        assert await copying.applies(other)
        async with asyncio.TaskGroup() as group:
            assert not await copying.applies(key), "90 of 100 bytes are taken"
            running = group.create_task(copying.run(other, client.notes))
            await gate.reached()
            assert reserved(client) == [a.uuid]
            assert not await copying.applies(key)
            gate.open()
        assert running.result()
        assert reserved(client) == []
        assert not await copying.applies(key), "now they are in use"
    assert client.repository.sizes.live_size(a.uuid) == 90


@in_loop
async def test_a_copy_that_fails_gives_its_room_back(client: Client) -> None:
    a = client.remote("a")
    want(client, a.uuid, "balanced=g", size=len(DATA))
    candidate = Candidate(client.put(DATA))
    a.fail("store", times=None)
    async with client.network() as network:
        copying = Copying(network, client.settings(a), auto=True)
        assert await copying.applies(candidate)
        assert not await copying.run(candidate, client.notes)
        assert reserved(client) == []
        assert await copying.applies(candidate)


@in_loop
async def test_a_download_has_its_room_too(client: Client) -> None:
    a = client.remote("a")
    want(client, HERE, "sizebalanced=g")
    candidate = Candidate(client.give(DATA, a))
    gate = a.hold("retrieve")
    async with client.network() as network:
        getting = Getting(network, auto=True)
        assert await getting.applies(candidate)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(getting.run(candidate, client.notes))
            await gate.reached()
            assert reserved(client) == [HERE]
            gate.open()
        assert running.result()
    assert reserved(client) == []
    assert client.repository.sizes.live_size(HERE) == len(DATA)


@in_loop
async def test_nothing_is_reserved_for_what_is_not_wanted(client: Client) -> None:
    a = client.remote("a")
    want(client, a.uuid, "balanced=g", size=1)
    candidate = Candidate(client.put(DATA))
    async with client.network() as network:
        assert not await Copying(network, client.settings(a), auto=True).applies(candidate)
    assert reserved(client) == []


@in_loop
async def test_without_a_balanced_term_nobody_looks_at_sizes(client: Client) -> None:
    a = client.remote("a")
    want(client, a.uuid, "anything")
    candidate = Candidate(client.put(DATA))
    async with client.network() as network:
        copying = Copying(network, client.settings(a), auto=True)
        assert await copying.applies(candidate)
        assert await copying.run(candidate, client.notes)
    assert not Path(client.repository.annex_path("reposize")).exists()
