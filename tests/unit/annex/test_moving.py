"""A move leaves as many copies as there were, or is proved like any drop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.matching import Candidate
from shoal.annex.movelog import MoveLog
from shoal.annex.moving import Moving
from shoal.errors import RemoteUnavailable
from shoal.logs.trust import TrustLevel
from shoal.remotes.base import AlreadyPresent
from shoal.values.uuid import cluster_uuid_from
from tests.support.annexrepo import HERE, key_of
from tests.support.client import Client
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote

DATA = b"some content"
CLUSTER = cluster_uuid_from("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(tmp_path)
    yield made
    made.close()


async def move(
    client: Client,
    content: bytes = DATA,
    *,
    source: MemoryRemote | None = None,
    target: MemoryRemote | None = None,
    numcopies: int | None = None,
) -> bool:
    """Move the content's key."""
    candidate = Candidate(key_of(content), "f")
    async with client.network(numcopies=numcopies) as network:
        moving = Moving(
            network,
            None if source is None else client.settings(source),
            None if target is None else client.settings(target),
        )
        assert await moving.applies(candidate)
        return await moving.run(candidate, client.notes)


@in_loop
async def test_a_move_to_where_it_was_not_needs_no_other_copy(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    assert await move(client, target=a, numcopies=3)
    assert client.holders(key) == client.locations(key) == {"a"}
    assert client.leftovers() == []


@in_loop
async def test_a_move_to_where_it_was_needs_a_proof(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.give(DATA, a)
    assert not await move(client, target=a, numcopies=2)
    assert client.holders(key) == client.locations(key) == {"here", "a"}
    assert client.notes.long_notes[-1] == "Content not dropped from here."
    assert await move(client, target=a)
    assert client.holders(key) == client.locations(key) == {"a"}


@in_loop
async def test_a_copy_that_is_there_but_not_logged_is_a_proof(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    a.objects[key] = DATA
    assert await move(client, target=a)
    assert client.holders(key) == client.locations(key) == {"a"}
    assert ("lock_content", key) in a.calls


@in_loop
async def test_a_remote_that_only_says_that_it_has_the_key_gets_nothing_dropped(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said no, then it said `already have`: no copy is lost on such a word."""
    key, cluster = client.put(DATA), client.remote("cl", CLUSTER)
    cluster.fail("lock_content", None, times=None)

    async def begin_store(*args: object, **kwargs: object) -> AlreadyPresent:
        return AlreadyPresent()

    monkeypatch.setattr(cluster, "begin_store", begin_store)
    MoveLog(client.repository).begin(HERE, cluster.uuid, key)  # as after an interrupted move
    assert not await move(client, target=cluster)
    assert client.is_here(key)


@in_loop
async def test_a_failed_upload_drops_nothing(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    a.fail("store", times=None)
    assert not await move(client, target=a)
    assert client.holders(key) == client.locations(key) == {"here"}
    assert not MoveLog(client.repository).is_under_way(HERE, a.uuid, key)


@in_loop
async def test_a_remote_that_cannot_be_asked_gets_nothing(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    a.fail("check_present")
    assert not await move(client, target=a)
    assert client.holders(key) == {"here"}
    assert client.notes.notes == ["the test says so"]


@in_loop
async def test_a_move_from_a_remote(client: Client) -> None:
    a = client.remote("a")
    key = client.give(DATA, a)
    assert await move(client, source=a, numcopies=3)
    assert client.holders(key) == client.locations(key) == {"here"}
    assert client.notes.notes == ["from a..."]
    assert client.leftovers() == []


@in_loop
async def test_a_move_from_a_remote_of_what_is_here_needs_a_proof(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.give(DATA, a)
    assert not await move(client, source=a, numcopies=2)
    assert client.holders(key) == {"here", "a"}
    assert client.notes.long_notes[-1] == "Content not dropped from a."
    assert await move(client, source=a)
    assert client.holders(key) == client.locations(key) == {"here"}


@in_loop
async def test_a_move_from_a_cluster_always_needs_a_proof(client: Client) -> None:
    cluster, node = client.remote("cl", CLUSTER), client.remote("n")
    client.repository.logs.set_cluster(CLUSTER, [node.uuid])
    key = client.give(DATA, cluster, node)
    assert not await move(client, source=cluster, numcopies=2)
    assert client.holders(key) == {"here", "cl", "n"}
    assert await move(client, source=cluster)
    assert "cl" not in client.holders(key)


@in_loop
async def test_a_move_to_an_untrusted_remote_needs_a_proof(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.trust(a, TrustLevel.UNTRUSTED)
    assert not await move(client, target=a)
    assert client.holders(key) == {"here", "a"}


@in_loop
async def test_an_interrupted_move_is_finished_as_one(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    MoveLog(client.repository).begin(HERE, a.uuid, key)
    client.give(DATA, a)
    assert await move(client, target=a, numcopies=3)
    assert client.holders(key) == {"a"}
    assert not MoveLog(client.repository).is_under_way(HERE, a.uuid, key)


@in_loop
async def test_a_move_whose_drop_breaks_off_can_be_finished(client: Client) -> None:
    a = client.remote("a")
    key = client.give(DATA, a)
    a.fail("remove")
    assert not await move(client, source=a, numcopies=3)
    assert client.holders(key) == client.locations(key) == {"here", "a"}
    client.repository.logs.set_location(key, a.uuid, True)
    assert await move(client, source=a)
    assert client.holders(key) == {"here"}


@in_loop
async def test_from_one_remote_to_another_nothing_passes_by_here(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b")
    key = client.give(DATA, a)
    assert await move(client, source=a, target=b, numcopies=3)
    assert client.holders(key) == client.locations(key) == {"b"}
    assert client.notes.notes == ["from a...", "to b..."]
    assert ("lock_content", key) in b.calls
    assert a.idle
    assert b.idle
    assert client.leftovers() == []


@in_loop
async def test_the_source_keeps_the_content_when_the_destination_has_lost_it(
    client: Client,
) -> None:
    a, b = client.remote("a"), client.remote("b")
    key = client.give(DATA, a)
    b.fail("lock_content", RemoteUnavailable("b", "gone"))
    with pytest.raises(RemoteUnavailable):
        await move(client, source=a, target=b)
    assert "a" in client.holders(key)


@in_loop
async def test_required_content_is_sent_but_not_dropped(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.repository.logs.set_required(HERE, "anything")
    assert not await move(client, target=a)
    assert client.holders(key) == {"here", "a"}


@in_loop
async def test_what_does_not_apply(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b")
    key = client.give(DATA, a)
    async with client.network() as network:
        candidate = Candidate(key)
        to_a, from_b = client.settings(a), client.settings(b)
        assert not await Moving(network, None, to_a).applies(candidate)
        assert not await Moving(network, from_b).applies(candidate)
        assert not await Moving(network, to_a, to_a).applies(candidate)
