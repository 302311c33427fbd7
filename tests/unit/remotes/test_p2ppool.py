"""How many connections there are, and who waits for which."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from shoal.p2p.messages import AuthSuccess, Data, Get
from shoal.remotes.p2pconnection import P2PConnection
from shoal.remotes.p2ppool import _WARY, Bypass, P2PPool, kept_of
from shoal.transport.memory import MemoryStream, memory_streams
from shoal.values.uuid import UUID
from tests.support.annexrepo import key_of, make_annex
from tests.support.loop import in_loop, until

HERE = UUID("aaaaaaaa-0000-4000-8000-000000000001")
NONE: Bypass = frozenset()
SOME: Bypass = frozenset({HERE})


class Dialler:
    """Makes connections to a server that only greets; `gate` holds up the making."""

    def __init__(self) -> None:
        self.made: list[P2PConnection] = []
        self.begun = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Event()
        self.theirs: list[MemoryStream] = []
        self.error: Exception | None = None

    async def __call__(self, bypass: Bypass) -> P2PConnection:
        self.begun += 1
        self._changed.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        ours, theirs = memory_streams()
        await theirs.send(bytes(AuthSuccess(HERE)) + b"VERSION 4\n")
        connection = P2PConnection(ours, HERE, "node")
        await connection.greet()
        self.theirs.append(theirs)
        self.made.append(connection)
        return connection

    async def has_begun(self, count: int) -> None:
        """Wait until so many connections were begun."""
        while self.begun < count:
            self._changed.clear()
            await self._changed.wait()

    async def hang_up(self) -> None:
        for stream in self.theirs:
            await stream.aclose()


@pytest.fixture
def no_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a connection waits for as long as the test takes."""
    monkeypatch.setattr("shoal.remotes.p2ppool._LEAST_PATIENCE", 600.0)
    monkeypatch.setattr("shoal.remotes.p2ppool._MOST_PATIENCE", 600.0)
    monkeypatch.setattr("shoal.remotes.p2ppool._DRAINING", 600.0)


@asynccontextmanager
async def two_in_use(pool: P2PPool) -> AsyncIterator[list[P2PConnection]]:
    lent = [await pool.take(NONE, patiently=True) for _ in range(2)]
    yield lent
    for connection in lent:
        await pool.give_back(connection, NONE)
    await pool.aclose()


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_many_short_requests_share_few_connections() -> None:
    dial = Dialler()
    pool = P2PPool(dial)

    async def use() -> P2PConnection:
        async with pool.connection(NONE, patiently=True) as connection:
            await asyncio.sleep(0)
            return connection

    used = await asyncio.gather(*(use() for _ in range(50)))
    assert {*used} == {*dial.made}
    assert len(dial.made) == 2
    await pool.aclose()


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_who_came_first_gets_the_connection_that_is_given_back() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    got: list[int] = []

    async def use(number: int) -> None:
        async with pool.connection(NONE, patiently=True):
            got.append(number)

    async with two_in_use(pool) as lent:
        waiting = [asyncio.create_task(use(number)) for number in range(5)]
        await asyncio.sleep(0)
        await pool.give_back(lent.pop(), NONE)
        await asyncio.gather(*waiting)
    assert got == [0, 1, 2, 3, 4]
    assert len(dial.made) == 2


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_a_connection_that_goes_from_hand_to_hand_is_in_use() -> None:
    """Also in the moment in between: nobody makes another because of it."""
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool) as lent:
        first = asyncio.create_task(pool.take(NONE, patiently=True))
        await asyncio.sleep(0)
        given = lent.pop()
        await pool.give_back(given, NONE)
        assert pool.is_busy(NONE)
        second = asyncio.create_task(pool.take(NONE, patiently=True))
        assert await first is given
        assert len(dial.made) == 2
        await pool.give_back(given, NONE)
        lent.append(await second)
    assert len(dial.made) == 2


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_a_long_request_does_not_wait() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool) as lent:
        lent.append(await pool.take(NONE))
        assert len({*lent}) == 3


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_connections_for_others_are_no_use() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool):
        other = await pool.take(SOME, patiently=True)
        waiting = asyncio.create_task(pool.take(NONE, patiently=True))
        await asyncio.sleep(0)
        await pool.give_back(other, SOME)
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])


@in_loop
async def test_who_waited_for_too_long_makes_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.remotes.p2ppool._LEAST_PATIENCE", 0.001)
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool) as lent:
        lent.append(await pool.take(NONE, patiently=True))
        assert len(dial.made) == 3


@in_loop
async def test_not_everybody_makes_one_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most as many are being made as there are."""
    monkeypatch.setattr("shoal.remotes.p2ppool._LEAST_PATIENCE", 0.001)
    monkeypatch.setattr("shoal.remotes.p2ppool._MOST_PATIENCE", 0.001)
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool) as lent:
        dial.gate.clear()
        waiting = [asyncio.create_task(pool.take(NONE, patiently=True)) for _ in range(9)]
        await dial.has_begun(4)
        await asyncio.sleep(0.05)
        assert dial.begun == 4
        dial.gate.set()
        lent.extend(await asyncio.gather(*waiting))
    assert len({*lent}) == 11


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_a_connection_that_broke_makes_room_for_another() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool) as lent:
        waiting = asyncio.create_task(pool.take(NONE, patiently=True))
        await asyncio.sleep(0)
        broken = lent.pop()
        await broken.aclose()
        await pool.give_back(broken, NONE)
        lent.append(await waiting)
        assert lent[-1] is dial.made[2]


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_a_server_that_went_away_is_not_asked() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool) as lent:
        waiting = asyncio.create_task(pool.take(NONE, patiently=True))
        await asyncio.sleep(0)
        await dial.hang_up()
        await pool.give_back(lent.pop(), NONE)
        lent.append(await waiting)
        assert lent[-1] is dial.made[2]


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_who_gives_up_loses_no_connection() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool) as lent:
        waiting = asyncio.create_task(pool.take(NONE, patiently=True))
        await asyncio.sleep(0)
        given = lent.pop()
        await pool.give_back(given, NONE)
        waiting.cancel()  # at the same moment
        await asyncio.wait([waiting])
        lent.append(await pool.take(NONE, patiently=True))
        assert lent[-1] is given


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_what_is_used_up_is_not_waited_for() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    async with two_in_use(pool) as lent:
        kept = lent.pop()
        pool.used_up(NONE)
        lent.append(await pool.take(NONE, patiently=True))
        assert lent[-1] is dial.made[2]
        await kept.aclose()


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_one_that_cannot_be_made_is_not_waited_for() -> None:
    async def fail(bypass: Bypass) -> P2PConnection:
        raise OSError("no")

    pool = P2PPool(fail)
    for _ in range(3):
        with pytest.raises(OSError, match="no"):
            await pool.take(NONE, patiently=True)
    await pool.aclose()


@in_loop
async def test_as_many_are_kept_as_configured(tmp_path: Path) -> None:
    with make_annex(tmp_path / "r") as repository:
        for number, kept in ((1, 1), (0, 0), (-1, 0), (3, 3)):
            repository.config.set("shoal.idle-connections", str(number))
            pool = P2PPool(Dialler(), kept=partial(kept_of, repository.config))
            lent = [await pool.take(NONE) for _ in range(4)]
            for connection in lent:
                await pool.give_back(connection, NONE)
            again = [await pool.take(NONE) for _ in range(4)]
            assert len({*again} & {*lent}) == kept
            for connection in again:
                await pool.give_back(connection, NONE)
            await pool.aclose()


# Who leaves in the middle of a download

LARGE = 1 << 30


async def download(pool: P2PPool, dial: Dialler, length: int) -> P2PConnection:
    """Take a connection and ask for a content, of which the first byte comes."""
    connection = await pool.take(NONE)
    theirs = dial.theirs[dial.made.index(connection)]
    await theirs.send(b"DATA %d\nx" % length)
    assert await connection.ask(Get(0, b"", key_of(b"x"))) == Data(length)
    return connection


async def abandon_one(pool: P2PPool, dial: Dialler) -> None:
    await pool.give_back(await download(pool, dial, LARGE), NONE)


@pytest.mark.usefixtures("no_patience_ends")
@in_loop
async def test_a_little_that_nobody_wants_is_dropped() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    for _ in range(2):
        await pool.give_back(await download(pool, dial, 3), NONE)
        assert pool.take_at_once(NONE) is None
        await dial.theirs[0].send(b"yzVALID\n")
        await until(lambda: pool.take_at_once(NONE) is dial.made[0])
        await pool.give_back(dial.made[0], NONE)
    assert dial.begun == 1
    await pool.aclose()


@in_loop
async def test_what_does_not_come_soon_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.remotes.p2ppool._DRAINING", 0.0)
    dial = Dialler()
    pool = P2PPool(dial)
    connection = await download(pool, dial, 3)
    await pool.give_back(connection, NONE)
    await until(connection.has_ended)
    assert await pool.take(NONE) is not connection
    await pool.give_back(dial.made[1], NONE)
    await pool.aclose()
    assert len(dial.made) == 2


@in_loop
async def test_a_pool_that_is_closed_while_it_drains_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoal.remotes.p2ppool._DRAINING", 0.01)
    dial = Dialler()
    pool = P2PPool(dial)
    connection = await download(pool, dial, 3)
    await pool.give_back(connection, NONE)
    await pool.aclose()
    while await dial.theirs[0].receive():  # to its end
        pass
    assert dial.begun == 1


@in_loop
async def test_a_connection_that_was_left_is_replaced_at_once() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    await abandon_one(pool, dial)
    await until(lambda: pool.take_at_once(NONE) is dial.made[-1])
    assert dial.begun == 2
    await pool.give_back(dial.made[-1], NONE)
    await pool.aclose()


@in_loop
async def test_a_spare_that_is_being_made_is_waited_for() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    connection = await download(pool, dial, LARGE)
    dial.gate.clear()
    await pool.give_back(connection, NONE)
    await dial.has_begun(2)
    waiting = asyncio.create_task(pool.take(NONE, patiently=True))
    await asyncio.sleep(0)
    dial.gate.set()
    await pool.give_back(await waiting, NONE)
    assert dial.begun == 2
    await pool.aclose()


@in_loop
async def test_a_spare_is_made_while_the_last_one_is_in_use() -> None:
    """As long as the last time that it would have helped is not long ago."""
    dial = Dialler()
    now = 0.0
    pool = P2PPool(dial, clock=lambda: now)
    await abandon_one(pool, dial)
    for count in range(2, 5):
        await dial.has_begun(count)
        await until(lambda: len(dial.made) == dial.begun)
        await abandon_one(pool, dial)
        assert dial.begun == count + 1  # one, not two
    await until(lambda: len(dial.made) == dial.begun)
    now = _WARY
    last = await pool.take(NONE)
    await asyncio.sleep(0)
    assert dial.begun == 5
    await pool.give_back(last, NONE)
    await pool.aclose()


@in_loop
async def test_short_requests_need_no_spare() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    await abandon_one(pool, dial)
    async with pool.connection(NONE, patiently=True):
        await asyncio.sleep(0)
        assert dial.begun == 2
    await pool.aclose()


@in_loop
async def test_who_is_to_keep_none_makes_no_spare() -> None:
    dial = Dialler()
    pool = P2PPool(dial, kept=lambda: 0)
    await abandon_one(pool, dial)
    await asyncio.sleep(0)
    assert dial.begun == 1
    await pool.aclose()


@in_loop
async def test_a_server_that_went_away_in_the_middle_is_left_alone() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    connection = await download(pool, dial, LARGE)
    connection.give_up()
    await pool.give_back(connection, NONE)
    await asyncio.sleep(0)
    assert dial.begun == 1
    await pool.aclose()


@in_loop
async def test_a_spare_that_cannot_be_made_is_no_error() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    connection = await download(pool, dial, LARGE)
    dial.error = OSError("no")
    await pool.give_back(connection, NONE)
    await dial.has_begun(2)
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="no"):
        await pool.take(NONE)
    await pool.aclose()


@in_loop
async def test_who_gives_up_on_a_spare_loses_no_connection() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    connection = await download(pool, dial, LARGE)
    dial.gate.clear()
    await pool.give_back(connection, NONE)
    waiting = asyncio.create_task(pool.take(NONE, patiently=True))
    [making] = (task for task in asyncio.all_tasks() if "spare" in task.get_name())
    making.add_done_callback(lambda _: waiting.cancel())  # at the same moment
    dial.gate.set()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert await pool.take(NONE, patiently=True) is dial.made[1]
    await pool.give_back(dial.made[1], NONE)
    await pool.aclose()


@in_loop
async def test_a_spare_that_is_being_made_does_not_outlive_the_pool() -> None:
    dial = Dialler()
    pool = P2PPool(dial)
    connection = await download(pool, dial, LARGE)
    dial.gate.clear()
    await pool.give_back(connection, NONE)
    await dial.has_begun(2)
    await pool.aclose()
    assert len(dial.made) == 1
