"""Nothing is dropped without a proof, and the location log says what remotes said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.dropping import Dropping
from shoal.annex.matching import Candidate
from shoal.errors import ContentLocked, RemoteRefused
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import cluster_uuid_from
from tests.support.annexrepo import HERE
from tests.support.client import Client
from tests.support.loop import in_loop

DATA = b"some content"
CLUSTER = cluster_uuid_from("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(tmp_path)
    yield made
    made.close()


@in_loop
async def test_a_copy_elsewhere_lets_the_content_here_go(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.give(DATA, a)
    async with client.network() as network:
        dropping = Dropping(network)
        assert await dropping.applies(Candidate(key))
        assert await dropping.run(Candidate(key), client.notes)
        assert not await dropping.applies(Candidate(key))
    assert client.holders(key) == client.locations(key) == {"a"}
    assert a.idle
    assert client.leftovers() == []


@in_loop
async def test_without_a_copy_elsewhere_the_content_stays(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.log(key, a, present=True)  # it is not there, though
    async with client.network() as network:
        assert not await Dropping(network).run(Candidate(key), client.notes)
    assert client.is_here(key)
    assert client.locations(key) == {"here", "a"}
    assert client.notes.notes == ["unsafe"]
    assert client.notes.long_notes[0].startswith("Could not verify the existence of the 1")
    assert client.leftovers() == []


@in_loop
async def test_numcopies_and_mincopies_are_kept(client: Client) -> None:
    key, a, b = client.put(DATA), client.remote("a"), client.remote("b", can_lock=False)
    client.give(DATA, a, b)
    async with client.network(numcopies=3) as network:
        assert not await Dropping(network).run(Candidate(key), client.notes)
        assert "only verify the existence of 2 out of 3" in client.notes.long_notes[0]
    async with client.network(mincopies=3) as network:
        assert not await Dropping(network).run(Candidate(key), client.notes)
        assert client.notes.long_notes[1] == "These remotes do not support locking: b"
    async with client.network(numcopies=2, mincopies=2) as network:
        assert await Dropping(network).run(Candidate(key), client.notes)
    assert client.holders(key) == {"a", "b"}


@in_loop
async def test_untrusted_and_dead_repositories_are_no_copies(client: Client) -> None:
    key, a, b = client.put(DATA), client.remote("a"), client.remote("b")
    client.give(DATA, a, b)
    client.trust(a, TrustLevel.UNTRUSTED)
    client.trust(b, TrustLevel.DEAD)
    async with client.network() as network:
        assert not await Dropping(network).run(Candidate(key), client.notes)
    assert client.is_here(key)
    assert a.calls == b.calls == []
    assert "Also these untrusted repositories may contain the file:" in client.notes.long_notes[1]


@in_loop
async def test_a_trusted_repository_is_believed_without_being_asked(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.log(key, a, present=True)
    client.trust(a, TrustLevel.TRUSTED)
    async with client.network() as network:
        assert await Dropping(network).run(Candidate(key), client.notes)
    assert a.calls == []


@in_loop
async def test_force_needs_no_proof_but_honours_locks(client: Client) -> None:
    key = client.put(DATA)
    lock = client.repository.objects.lock_shared(key)
    async with client.network() as network:
        dropping = Dropping(network, force=True)
        with pytest.raises(ContentLocked):
            await dropping.run(Candidate(key), client.notes)
        assert client.is_here(key)
        lock.release()
        assert await dropping.run(Candidate(key), client.notes)
    assert client.holders(key) == client.locations(key) == set()


@in_loop
async def test_required_content_stays(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.give(DATA, a)
    client.repository.logs.set_required(HERE, "anything")
    async with client.network() as network:
        assert not await Dropping(network).run(Candidate(key, "f"), client.notes)
        assert "That file is required content. It cannot be dropped!" in client.notes.long_notes
        assert await Dropping(network, force=True).run(Candidate(key, "f"), client.notes)


@in_loop
async def test_a_remote_needs_a_copy_that_nobody_can_remove(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b", can_lock=False)
    key = client.give(DATA, a, b)
    async with client.network() as network:
        dropping = Dropping(network, client.settings(a))
        assert not await dropping.run(Candidate(key), client.notes)
        assert client.notes.long_notes[0].startswith("Unable to lock down 1 copy")
        b.can_lock = True
        assert await dropping.run(Candidate(key), client.notes)
    assert client.holders(key) == client.locations(key) == {"b"}
    assert b.idle


@in_loop
async def test_the_copy_here_is_a_proof_for_a_drop_elsewhere(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.give(DATA, a)
    async with client.network() as network:
        assert await Dropping(network, client.settings(a)).run(Candidate(key), client.notes)
    assert client.holders(key) == client.locations(key) == {"here"}
    assert [verb for verb, _ in a.calls] == ["remove"]  # our own lock has no end
    assert client.leftovers() == []


@in_loop
async def test_a_lock_elsewhere_limits_the_time_of_the_removal(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b")
    key = client.give(DATA, a, b)
    gate = a.hold("remove")
    a.clock = 1000
    async with client.network() as network:
        drop = asyncio.create_task(
            Dropping(network, client.settings(a)).run(Candidate(key), client.notes)
        )
        await gate.reached()
        assert b.locks[key] == 1
        a.clock = 1601  # the lock of b was sure for 600 seconds only
        gate.open()
        assert not await drop
    assert client.holders(key) == client.locations(key) == {"a", "b"}
    assert ("timestamp", None) in a.calls


@in_loop
async def test_a_remote_that_refuses_keeps_its_log(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.give(DATA, a)
    a.fail("remove", RemoteRefused("no"))
    async with client.network() as network:
        assert not await Dropping(network, client.settings(a)).run(Candidate(key), client.notes)
    assert client.notes.warnings == ["no"]
    assert client.locations(key) == {"here", "a"}


@in_loop
async def test_a_remote_that_does_not_answer_keeps_its_log(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.give(DATA, a)
    a.fail("remove")
    async with client.network() as network:
        assert not await Dropping(network, client.settings(a)).run(Candidate(key), client.notes)
    assert client.notes.warnings == ["the test says so"]
    assert client.locations(key) == {"here", "a"}


@in_loop
async def test_nodes_are_no_copies_when_their_cluster_is_dropped_from(client: Client) -> None:
    cluster, node, other = client.remote("cl", CLUSTER), client.remote("n"), client.remote("o")
    client.repository.logs.set_cluster(CLUSTER, [node.uuid])
    key = client.give(DATA, cluster, node)
    async with client.network() as network:
        assert not await Dropping(network, client.settings(cluster)).run(
            Candidate(key), client.notes
        )
        assert node.calls == []
        client.give(DATA, other)
        cluster.stored_in = (node.uuid,)
        assert await Dropping(network, client.settings(cluster)).run(Candidate(key), client.notes)
    assert client.locations(key) == {"o"}


@in_loop
async def test_a_cluster_is_no_copy_of_its_own(client: Client) -> None:
    key, cluster, node = client.put(DATA), client.remote("cl", CLUSTER), client.remote("n")
    client.repository.logs.set_cluster(CLUSTER, [node.uuid])
    client.give(DATA, cluster, node)
    async with client.network(numcopies=2) as network:
        assert not await Dropping(network).run(Candidate(key), client.notes)
    async with client.network() as network:
        assert await Dropping(network).run(Candidate(key), client.notes)
    assert cluster.calls == []
    assert ("lock_content", key) in node.calls


@in_loop
async def test_auto_drops_what_is_not_wanted_and_has_copies_to_spare(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.give(DATA, a)
    async with client.network(numcopies=2) as network:
        assert not await Dropping(network, auto=True).applies(Candidate(key, "f"))
    client.repository.logs.set_wanted(HERE, "include=f")
    async with client.network() as network:
        assert not await Dropping(network, auto=True).applies(Candidate(key, "f"))
        assert await Dropping(network, auto=True).applies(Candidate(key, "g"))


@in_loop
async def test_content_that_vanished_is_logged_so(client: Client) -> None:
    key = client.put(DATA)
    async with client.network() as network:
        with client.repository.objects.lock_removal(key) as removal:
            removal.remove()
        assert await Dropping(network).run(Candidate(key), client.notes)
    assert client.locations(key) == set()
