"""What is said and heard in a P2P session that this process serves, and the payload of a PUT.

The session says what bytes mean; here they come from the client and go there. Performing what the
client asks for is in p2p_session.py.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

from shoal.errors import RemoteUnavailable
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import End, Event, PayloadEnd, ServerSession
from shoal.remotes.content import CHUNK_SIZE, Content
from shoal.remotes.content import Chunk as ContentChunk
from shoal.transport.stream import ByteStream

_DRAIN_LIMIT = 1 << 24
"""When an upload fails early, this many bytes of it are still read and dropped, in order to
keep the connection; with more to come it is closed."""

_LARGE = 2 << 20  # bytes of a payload that is read into memory which is used again and again
_HAND_ON = 0.5  # seconds after which less than a batch is handed on


def client_gone() -> RemoteUnavailable:
    """Give the error for a client that left inside a request."""
    return RemoteUnavailable("client", "connection lost")


class Conversation:
    """A session with the client at the other end of a stream.

    A client that was to send a content and sends nothing for `stall` seconds has gone; `report`
    is told so. `end` is the client's last word, as soon as it was heard.
    """

    def __init__(
        self,
        session: ServerSession,
        stream: ByteStream,
        report: Callable[[str], None],
        stall: float,
    ) -> None:
        self.session = session
        self.stream = stream
        self.end: End | None = None
        self._report = report
        self._stall = stall

    async def event(self) -> Event:
        """Wait for what the client says next. After End it stays at End."""
        while self.end is None:
            await self.flush()  # the answer to what came before
            event = self.session.next_event()
            await self.flush()  # what the session itself had to say
            if event is None:
                if not self.session.is_receiving or await self._hears_more():
                    self.session.feed(await self.stream.receive())
                continue
            if isinstance(event, End):
                self.end = event
            return event
        return self.end

    async def payload_into(self, buffer: memoryview) -> int:
        """Wait for bytes of the payload that is due, at most as many as fit into `buffer`, and
        give how many; 0 when the client has gone."""
        if (count := self.session.take_payload(buffer)) == 0:
            if self.end is not None or not await self._hears_more():
                return 0
            count = await self.stream.receive_into(buffer)
            self.session.payload_came(count)
        return count

    async def _hears_more(self) -> bool:
        """Wait for more of a content, but not for ever; False: that was the end."""
        if await self.stream.has_more_within(self._stall):
            return True
        self._report(f"the client sent nothing for {self._stall:g} seconds")
        self.end = End(clean=False)
        return False

    async def flush(self) -> None:
        """Send what the session has to say."""
        output = self.session.take_output()
        if output:
            await self.stream.send(output)


class Incoming(Content):
    """The payload of a PUT as it arrives: `size` bytes of the content, from `offset` on."""

    def __init__(self, conversation: Conversation, offset: int, size: int) -> None:
        self._conversation = conversation
        self._left = size
        self._valid: bool | None = None
        self.offset = offset
        self.size: int = size
        self.filler = self if size >= _LARGE else None

    @property
    def batch(self) -> int:
        return CHUNK_SIZE

    async def fill(self, buffer: memoryview) -> int:
        """As Filler.fill(). What comes slowly is handed on soon, and so is what came before the
        client went away."""
        count = 0
        began = time.monotonic()
        while count < len(buffer) and self._left and time.monotonic() - began < _HAND_ON:
            more = await self._conversation.payload_into(buffer[count : count + self._left])
            if not more and not count:
                raise client_gone()
            if not more:
                break
            count += more
            self._left -= more
        return count

    async def stream(self, skip: int = 0) -> AsyncIterator[ContentChunk]:
        while self._left:
            event = await self._conversation.event()
            if not isinstance(event, Chunk):
                raise client_gone()
            self._left -= len(event.data)
            if skip < len(event.data):
                yield event.data[skip:]
            skip = max(0, skip - len(event.data))

    async def confirm(self) -> bool:
        if self._valid is None:
            event = await self._conversation.event()
            if not isinstance(event, PayloadEnd):
                raise client_gone()
            self._valid = event.valid
        return self._valid

    async def drain(self) -> None:
        """Read and drop what nobody read, so that the next request can come."""
        if self._left > _DRAIN_LIMIT and self._conversation.end is None:
            raise RemoteUnavailable("client", "it is sending what nobody can take")
        async for _ in self.stream():
            pass
        await self.confirm()
