"""Content is got from whichever remote gives it, and copied to where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.copying import Copying
from shoal.annex.getting import Getting
from shoal.annex.matching import Candidate
from shoal.errors import RemoteRefused
from shoal.values.key import Key
from tests.support.annexrepo import HERE, git
from tests.support.client import Client
from tests.support.loop import in_loop

DATA = b"some content"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(tmp_path)
    yield made
    made.close()


@in_loop
async def test_the_cheapest_remote_is_asked_first(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b")
    git(Path(client.repository.path), "config", "remote.a.annex-cost", "300")
    client.repository.config.reload()
    key = client.give(DATA, a, b)
    async with client.network() as network:
        getting = Getting(network)
        assert await getting.applies(Candidate(key))
        assert await getting.run(Candidate(key, "d/f"), client.notes)
        assert not await getting.applies(Candidate(key))
    assert client.locations(key) == client.holders(key) == {"here", "a", "b"}
    assert a.calls == []
    assert b.files == ["d/f"]
    assert client.notes.notes == ["from b..."]
    assert client.notes.done[-1] == len(DATA)
    assert client.leftovers() == []


@in_loop
async def test_the_next_remote_is_asked_when_one_fails(client: Client) -> None:
    a, b, c = client.remote("a"), client.remote("b"), client.remote("c")
    key = client.give(DATA, a, b, c)
    a.fail("retrieve", times=None)
    b.objects[key] = b"not the content"
    async with client.network() as network:
        assert await Getting(network).run(Candidate(key), client.notes)
    assert client.notes.notes == ["from a...", "from b...", "from c..."]
    assert client.notes.warnings == ["the test says so", "Verification of content failed"]
    assert client.is_here(key)
    assert client.leftovers() == []


@in_loop
async def test_when_nobody_has_it_the_user_hears_who_might(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b")
    key = client.give(DATA, a, b)
    a.fail("retrieve", times=None)
    git(Path(client.repository.path), "config", "remote.b.annex-ignore", "true")
    client.repository.config.reload()
    async with client.network() as network:
        assert not await Getting(network).run(Candidate(key), client.notes)
    assert client.notes.long_notes == [
        "Unable to access these remotes: a",
        "Try making some of these remotes available:\n\tuuid-of-b -- b",
        "(Note that these git remotes have annex-ignore set: b)",
    ]
    assert client.notes.fields["wanted"] == [
        {"description": "b", "here": False, "uuid": "uuid-of-b"}
    ]
    assert client.leftovers() == []


@in_loop
async def test_nobody_is_known_to_have_it(client: Client) -> None:
    key = client.give(DATA)
    async with client.network() as network:
        assert not await Getting(network).run(Candidate(key), client.notes)
    assert client.notes.notes == ["not available"]
    assert client.notes.long_notes == ["No other repository is known to contain the file."]


@in_loop
async def test_one_remote_is_asked_only_for_what_it_is_logged_to_have(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b")
    key = client.give(DATA, a)
    async with client.network() as network:
        assert not await Getting(network, client.settings(b)).applies(Candidate(key))
        getting = Getting(network, client.settings(a))
        assert await getting.applies(Candidate(key))
        assert await getting.run(Candidate(key), client.notes)
    assert client.is_here(key)


@in_loop
async def test_auto_gets_what_is_wanted_or_has_too_few_copies(client: Client) -> None:
    a = client.remote("a")
    key = client.give(DATA, a)
    async with client.network() as network:
        assert not await Getting(network, auto=True).applies(Candidate(key, "f"))
    async with client.network(numcopies=2) as network:
        assert await Getting(network, auto=True).applies(Candidate(key, "f"))
    client.repository.logs.set_wanted(HERE, "include=f")
    async with client.network() as network:
        assert await Getting(network, auto=True).applies(Candidate(key, "f"))
        assert not await Getting(network, auto=True).applies(Candidate(key, "g"))


@in_loop
async def test_a_copy(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    async with client.network() as network:
        copying = Copying(network, client.settings(a))
        assert await copying.applies(Candidate(key))
        assert await copying.run(Candidate(key, "f"), client.notes)
    assert client.holders(key) == client.locations(key) == {"here", "a"}
    assert client.notes.notes == ["to a..."]
    assert a.files == ["f"]
    assert a.callers[-2].uuid == HERE


@in_loop
async def test_what_is_there_is_recorded_and_not_sent(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    a.objects[key] = DATA
    async with client.network() as network:
        assert await Copying(network, client.settings(a)).run(Candidate(key), client.notes)
    assert client.locations(key) == {"here", "a"}
    assert [verb for verb, _ in a.calls] == ["check_present"]


@in_loop
async def test_fast_believes_the_log(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    client.log(key, a, present=True)
    async with client.network() as network:
        assert not await Copying(network, client.settings(a), fast=True).applies(Candidate(key))
        assert a.calls == []


@in_loop
async def test_a_cluster_tells_which_nodes_took_it(client: Client) -> None:
    key, a, node = client.put(DATA), client.remote("a"), client.remote("node")
    a.stored_in = (node.uuid,)
    async with client.network() as network:
        assert await Copying(network, client.settings(a)).run(Candidate(key), client.notes)
    assert client.locations(key) == {"here", "a", "node"}


@in_loop
async def test_a_refusal_is_told_and_nothing_is_recorded(client: Client) -> None:
    key, a = client.put(DATA), client.remote("a")
    a.fail("begin_store", RemoteRefused("no room"))
    async with client.network() as network:
        assert not await Copying(network, client.settings(a)).run(Candidate(key), client.notes)
    assert client.notes.warnings == ["no room"]
    assert client.locations(key) == {"here"}


@in_loop
async def test_from_one_remote_to_another(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b")
    key = client.give(DATA, a)
    async with client.network() as network:
        copying = Copying(network, client.settings(b), client.settings(a))
        assert await copying.applies(Candidate(key))
        assert await copying.run(Candidate(key), client.notes)
        backwards = Copying(network, client.settings(a), client.settings(a))
        assert not await backwards.applies(Candidate(key))
    assert client.holders(key) == client.locations(key) == {"a", "b"}
    assert client.notes.notes == ["from a...", "to b..."]


@in_loop
async def test_from_anywhere_the_next_remote_is_tried(client: Client) -> None:
    a, b, target = client.remote("a"), client.remote("b"), client.remote("target")
    key, nowhere = client.give(DATA, a, b), Key.parse(b"SHA256-s1--nowhere")
    a.fail("retrieve", RemoteRefused("broken"))
    async with client.network() as network:
        copying = Copying(network, client.settings(target), anywhere=True)
        assert not await copying.applies(Candidate(nowhere))
        assert await copying.applies(Candidate(key))
        assert await copying.run(Candidate(key), client.notes)
    assert client.holders(key) == {"a", "b", "target"}
    assert client.notes.notes == ["from a...", "to target...", "from b...", "to target..."]


@in_loop
async def test_wanted_does_not_count_copies(client: Client) -> None:
    a = client.remote("a")
    key = client.give(DATA, a)
    client.repository.logs.set_wanted(HERE, "include=f")
    async with client.network(numcopies=2) as network:
        assert await Getting(network, wanted=True).applies(Candidate(key, "f"))
        assert not await Getting(network, wanted=True).applies(Candidate(key, "g"))
        assert await Getting(network, wanted=True, auto=True).applies(Candidate(key, "g"))


@in_loop
async def test_from_anywhere_what_is_there_is_not_sent(client: Client) -> None:
    a, target = client.remote("a"), client.remote("target")
    key = client.give(DATA, a, target)
    async with client.network() as network:
        copying = Copying(network, client.settings(target), anywhere=True)
        assert await copying.run(Candidate(key), client.notes)
    assert [verb for verb, _ in (*a.calls, *target.calls)] == ["check_present"]
