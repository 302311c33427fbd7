"""A proxied remote: the remote's answers, and this repository's log."""

from __future__ import annotations

import asyncio

import pytest

from shoal.errors import RemoteUnavailable
from shoal.gateway.node import Node
from shoal.gateway.patience import Patience
from shoal.gateway.proxied import ProxiedRemote
from shoal.remotes.base import AlreadyPresent, Caller, RemoveResult, StoreResult
from shoal.remotes.content import AT_ONCE
from shoal.values.uuid import UUID
from tests.support.fake_cluster import GATEWAY, QUICK, FakeRecords, NodeRemote, node_uuid, put
from tests.support.loop import in_loop
from tests.support.memory_remote import gather, key_of

DATA = b"content of a key"
KEY = key_of(DATA)
OTHER = UUID("other")


class Rig:
    def __init__(self) -> None:
        self.remote = NodeRemote(node_uuid(1), "n1")
        self.records = FakeRecords()
        self.node = Node(self.remote, Patience(QUICK))
        self.proxied = ProxiedRemote(self.node, GATEWAY, self.records)

    @property
    def logged(self) -> set[UUID]:
        return self.records.log.get(KEY, set())


def test_it_is_the_remote_at_once() -> None:
    rig = Rig()
    rig.remote.put(DATA)
    assert rig.proxied.present_at_once(KEY) is None
    rig.remote.at_once = True
    assert rig.proxied.present_at_once(KEY) is True
    assert rig.proxied.present_at_once(key_of(b"absent")) is False
    assert rig.proxied.read_at_once(KEY, 3, AT_ONCE) == DATA[3:]
    assert set(rig.remote.callers) == {Caller(GATEWAY)}


@in_loop
async def test_it_is_the_remote() -> None:
    rig = Rig()
    assert rig.proxied.info == rig.remote.info
    rig.remote.put(DATA)
    assert await rig.proxied.check_present(KEY) is True
    assert await rig.proxied.timestamp() == rig.remote.clock
    async with rig.proxied.retrieve(KEY, 3, file="f") as content:
        assert await gather(content) == DATA[3:]
    async with rig.proxied.lock_content(KEY):
        assert rig.remote.locks[KEY] == 1
    assert rig.records.changes == []
    assert rig.remote.files == ["f"]


@in_loop
async def test_no_gateway_is_left_out_but_those_of_the_client() -> None:
    """The real program sends no BYPASS to a single proxied remote."""
    rig = Rig()
    caller = Caller(UUID("client"), frozenset({OTHER}))
    await rig.proxied.check_present(KEY, caller=caller)
    assert rig.remote.callers == [Caller(GATEWAY, frozenset({OTHER}))]


@in_loop
async def test_a_store_is_recorded() -> None:
    rig = Rig()
    rig.remote.stored_in = (OTHER,)
    assert await put(rig.proxied, KEY, DATA) == StoreResult(True, (OTHER,))
    assert rig.logged == {node_uuid(1), OTHER}


@in_loop
async def test_a_store_that_fails_is_not_recorded() -> None:
    rig = Rig()
    assert (await put(rig.proxied, KEY, b"wrong")) == StoreResult(
        False, error="Verification of content failed"
    )
    rig.remote.fail("store", after=3)
    with pytest.raises(RemoteUnavailable):
        await put(rig.proxied, KEY, DATA)
    assert rig.records.changes == []
    assert rig.remote.idle


@in_loop
async def test_what_was_there_already_is_recorded() -> None:
    rig = Rig()
    rig.remote.put(DATA)
    assert await put(rig.proxied, KEY, DATA) == AlreadyPresent()
    assert rig.logged == {node_uuid(1)}
    assert await put(rig.proxied, KEY, DATA) == AlreadyPresent()
    assert len(rig.records.changes) == 1


@in_loop
async def test_content_sent_by_another_way() -> None:
    rig = Rig()
    assert await rig.proxied.store_present(KEY) == StoreResult(False)
    assert rig.logged == set()
    rig.remote.put(DATA)
    assert await rig.proxied.store_present(KEY) == StoreResult(True)
    assert rig.logged == {node_uuid(1)}


@in_loop
async def test_a_removal_is_recorded_and_its_deadline_passed_on() -> None:
    rig = Rig()
    rig.remote.put(DATA)
    rig.records.log[KEY] = {node_uuid(1)}
    assert await rig.proxied.remove(KEY, before=77_000) == RemoveResult(True)
    assert rig.remote.befores == [77_000]
    assert rig.logged == set()


@in_loop
async def test_a_removal_that_fails_is_not_recorded() -> None:
    rig = Rig()
    rig.remote.put(DATA)
    rig.records.log[KEY] = {node_uuid(1)}
    async with rig.remote.lock_content(KEY):
        assert (await rig.proxied.remove(KEY)).removed is False
    rig.remote.fail("remove")
    with pytest.raises(RemoteUnavailable):
        await rig.proxied.remove(KEY)
    assert rig.logged == {node_uuid(1)}


@in_loop
async def test_a_removal_is_recorded_when_the_client_goes() -> None:
    rig = Rig()
    rig.remote.put(DATA)
    rig.records.log[KEY] = {node_uuid(1)}
    gate = rig.remote.hold("remove")
    removing = asyncio.create_task(rig.proxied.remove(KEY))
    await gate.reached()
    removing.cancel()
    await asyncio.sleep(0)
    gate.open()
    await asyncio.wait({removing})
    assert rig.logged == set()
    assert removing.cancelled()


@in_loop
async def test_an_upload_can_be_given_up() -> None:
    rig = Rig()
    upload = await rig.proxied.begin_store(KEY)
    assert not isinstance(upload, AlreadyPresent)
    await upload.aclose()
    assert rig.remote.idle
