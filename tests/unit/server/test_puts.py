"""Small uploads that are stored past aiohttp: at once, or when it is their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from shoal.errors import NotEnoughSpace, ShoalError
from shoal.p2phttp.routes import Request, parse_request
from shoal.remotes.base import NOBODY, AlreadyPresent, Caller, StoreResult
from shoal.remotes.content import WholeContent
from shoal.server.options import Limits
from shoal.server.puts import SmallPuts
from shoal.server.target import Target
from shoal.server.uploads import Uploads
from shoal.values.key import Key
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, key_of
from tests.support.served import FixedSite

CONTENT = b"a small content"
KEY = key_of(CONTENT)


class Prompt(MemoryRemote):
    """Stores at once, unless it is `busy`; gives `error` when that is set."""

    busy = False
    error: ShoalError | None = None

    def store_at_once(
        self, key: Key, content: WholeContent, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult | AlreadyPresent | ShoalError | None:
        if self.busy:
            return None
        self.objects[key] = content.data
        return self.error or StoreResult(True)


class Rig:
    """One remote, and what answers puts to it."""

    def __init__(self, jobs: int = 1) -> None:
        self.remote = Prompt()
        self.site = FixedSite({self.remote.info.uuid: self.remote}, jobs)
        self.uploads = Uploads(Limits())
        self.puts = SmallPuts(self.uploads)

    def begin(
        self, body: bytes = CONTENT, **headers: str
    ) -> bytes | Callable[[Callable[[bytes | None], None]], bool] | None:
        target = Target(self.remote, self.site)
        return self.puts.begin("PUT", headers, body, self.asked(), target, NOBODY)

    def asked(self) -> Request:
        uuid = self.remote.info.uuid
        query = f"clientuuid={uuid}&key={KEY}"
        return parse_request("POST", f"/git-annex/{uuid}/v4/put", query, str(len(CONTENT)))

    async def answer(self) -> bytes:
        begun = self.begin()
        assert callable(begun)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        assert begun(answer.set_result)
        async with asyncio.timeout(60):
            told = await answer
        assert told is not None
        return told


@in_loop
async def test_what_needs_no_waiting_is_answered_without_a_task() -> None:
    rig = Rig()
    before = asyncio.all_tasks()
    answer = rig.begin()
    assert isinstance(answer, bytes)
    assert b'"stored":true' in answer
    assert asyncio.all_tasks() == before
    assert rig.remote.objects == {KEY: CONTENT}


@in_loop
async def test_an_error_is_answered_without_a_task_too() -> None:
    rig = Rig()
    rig.remote.error = NotEnoughSpace("no room at all")
    answer = rig.begin()
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 507 ")


@in_loop
async def test_one_is_stored_in_each_turn() -> None:
    rig = Rig()
    assert isinstance(rig.begin(), bytes)
    rig.remote.objects.clear()
    begun = rig.begin()  # in the same turn of the event loop
    assert callable(begun)
    assert rig.remote.objects == {}
    assert b'"stored":true' in await rig.answer()
    assert rig.remote.objects == {KEY: CONTENT}


@in_loop
async def test_what_must_wait_gets_a_task() -> None:
    rig = Rig()
    rig.remote.busy = True
    assert b'"stored":true' in await rig.answer()
    assert rig.remote.objects == {KEY: CONTENT}


@in_loop
async def test_nothing_is_stored_before_there_is_a_slot() -> None:
    rig = Rig(jobs=1)
    async with rig.site.slots.transfer():
        waiting = asyncio.create_task(rig.answer())
        for _ in range(5):
            await asyncio.sleep(0)
        assert rig.remote.objects == {}
    assert b'"stored":true' in await waiting


@pytest.mark.parametrize(("body", "headers"), [(CONTENT[1:], {}), (CONTENT, {"Expect": "100"})])
@in_loop
async def test_what_is_not_as_usual_is_for_others(body: bytes, headers: dict[str, str]) -> None:
    rig = Rig()
    assert rig.begin(body, **headers) is None
    assert rig.remote.objects == {}
