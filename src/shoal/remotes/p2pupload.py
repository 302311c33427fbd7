"""Storing content in a remote that speaks the P2P protocol: the payload, or the word that it is
there already."""

from __future__ import annotations

from shoal.errors import ContentMismatch, LocalProtocolError
from shoal.p2p.messages import DataPresent
from shoal.remotes.base import StoreResult, Upload
from shoal.remotes.content import Content
from shoal.remotes.p2pconnection import P2PConnection
from shoal.remotes.p2ppool import Bypass, P2PPool
from shoal.remotes.spool import Reserve, with_size
from shoal.values.backend import checksum_in
from shoal.values.key import Key

_DATA_PRESENT = 4  # the protocol version that has DATA-PRESENT


class P2PUpload(Upload):
    """A `connection` of `pool` whose server waits for a payload from `offset` on. `reserve` gives
    what stays free on this machine's disk where content has to be kept before it can be sent."""

    def __init__(
        self,
        key: Key,
        connection: P2PConnection,
        pool: P2PPool,
        bypass: Bypass,
        reserve: Reserve,
    ) -> None:
        self._key = key
        self._connection: P2PConnection | None = connection
        self._pool = pool
        self._bypass = bypass
        self._reserve = reserve
        self.offset = 0
        # Who can say that the content is not vouched for leaves it to the server to verify it.
        self.uses_digest = connection.version == 0 or checksum_in(key) is None

    async def store(self, content: Content) -> StoreResult:
        connection = self._connection
        if connection is None or content.offset != self.offset:
            raise LocalProtocolError("store() for a second time, or from another offset")
        size = self._key.size
        known = None if size is None else max(0, size - self.offset)
        try:
            async with with_size(content, known, self._reserve) as (sized, length):
                checkable = checksum_in(self._key) is not None
                answer = await connection.send_payload(sized, length, checkable=checkable)
        except ContentMismatch as error:
            return StoreResult(False, error=str(error))
        finally:
            await self.aclose()
        return StoreResult(*connection.outcome(answer, "store"))

    async def store_present(self) -> StoreResult:
        """Say that the content is there already."""
        connection = self._connection
        assert connection is not None
        if connection.version < _DATA_PRESENT:
            return StoreResult(False, error="the remote cannot look for content on its disk")
        answer = await connection.ask(DataPresent())
        return StoreResult(*connection.outcome(answer, "store"))

    async def aclose(self) -> None:
        """Give the connection back. Where the server still waits for a payload it is closed:
        that is how every server understands that none will come."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._pool.give_back(connection, self._bypass)
