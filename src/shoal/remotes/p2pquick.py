"""Short questions to a P2P server, without a task for each: whether a key is there, and small
content.

A question is written to a kept connection that is idle, or waits a moment for one. Its answer is
read when the event loop says that it has come. Whatever is not just as it should be ends with
the word that it cannot be told this way; whoever asked then asks in the usual way, where there is
patience, and an error for every failure.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial

from shoal.errors import RemoteUnavailable
from shoal.p2p.client import Event
from shoal.p2p.messages import CheckPresent, Data, Failure, Get, Message, Success
from shoal.p2p.receiver import Chunk
from shoal.p2p.server import PayloadEnd
from shoal.remotes.p2pconnection import P2PConnection
from shoal.remotes.p2ppool import Bypass, P2PPool
from shoal.values.key import Key

_LONGEST = 10.0  # seconds for an answer
_VOUCHED = 1  # the protocol version from which on a server says whether it vouches for content


class _Question(ABC):
    """One question. `over` is set when the server has answered."""

    oldest = 0  # the version of the protocol that it takes

    def __init__(self, request: Message, bypass: Bypass) -> None:
        self.request = request
        self.bypass = bypass
        self.connection: P2PConnection | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.over = False

    @abstractmethod
    def hear(self, event: Event) -> None:
        """Take what the server says. All that is unexpected ends the question."""

    @abstractmethod
    def tell(self) -> None:
        """Tell whoever asked, who learns that nothing is known if it is not over."""


class _Present(_Question):
    def __init__(self, key: Key, bypass: Bypass, tell: Callable[[bool | None], None]) -> None:
        super().__init__(CheckPresent(key), bypass)
        self._tell = tell
        self._answer: bool | None = None

    def hear(self, event: Event) -> None:
        self.over = True
        if isinstance(event, Success | Failure):
            self._answer = isinstance(event, Success)

    def tell(self) -> None:
        self._tell(self._answer)


class _Read(_Question):
    oldest = _VOUCHED

    def __init__(
        self, get: Get, most: int, bypass: Bypass, tell: Callable[[bytes | None], None]
    ) -> None:
        super().__init__(get, bypass)
        self._most = most
        self._tell = tell
        self._pieces: list[bytes] = []
        self._answer: bytes | None = None

    def hear(self, event: Event) -> None:
        match event:
            case Data(length) if length <= self._most:
                pass
            case Chunk(data):
                self._pieces.append(bytes(data))
            case PayloadEnd(valid):
                self.over = True
                if self.connection is not None:
                    self.connection.thank(received=valid)
                if valid:
                    self._answer = b"".join(self._pieces)
            case _:
                self.over = True

    def tell(self) -> None:
        self._tell(self._answer)


class QuickQuestions:
    """Asks over the connections of `pool`, which go back there after each answer."""

    def __init__(self, pool: P2PPool) -> None:
        self._pool = pool
        self._waiting: deque[_Question] = deque()
        pool.on_idle = self._next

    def present(self, key: Key, bypass: Bypass, tell: Callable[[bool | None], None]) -> bool:
        """Begin to ask whether a key is there; False when that is not possible now. `tell` is
        called once, later: with the answer, or with None."""
        return self._ask(_Present(key, bypass, tell))

    def read(
        self, get: Get, most: int, bypass: Bypass, tell: Callable[[bytes | None], None]
    ) -> bool:
        """As present(), for content of at most `most` bytes that the server vouches for."""
        return self._ask(_Read(get, most, bypass, tell))

    def aclose(self) -> None:
        """Tell those who still wait that nothing will come."""
        while self._waiting:
            self._end(self._waiting.popleft())

    def _ask(self, question: _Question) -> bool:
        if (connection := self._pool.take_at_once(question.bypass)) is not None:
            return self._begin(question, connection)
        if not self._pool.is_busy(question.bypass):
            return False  # another connection is to be made
        self._waiting.append(question)
        self._set_timer(question, self._pool.patience)
        return True

    def _begin(self, question: _Question, connection: P2PConnection) -> bool:
        question.connection = connection
        if connection.version < question.oldest or not connection.ask_at_once(
            question.request, partial(self._came, question)
        ):
            self._pool.put_back(connection, question.bypass)
            return False
        self._set_timer(question, _LONGEST)
        return True

    def _set_timer(self, question: _Question, seconds: float) -> None:
        if question.timer is not None:
            question.timer.cancel()
        loop = asyncio.get_running_loop()
        question.timer = loop.call_later(seconds, self._too_late, question)

    def _came(self, question: _Question) -> None:
        """Something came on the connection of a question."""
        assert question.connection is not None
        try:
            for event in question.connection.heard():
                question.hear(event)
        except RemoteUnavailable:
            question.over = True
        if question.over:
            self._end(question)

    def _too_late(self, question: _Question) -> None:
        if question.connection is None:
            self._waiting.remove(question)
        self._end(question)

    def _end(self, question: _Question) -> None:
        """Let the next question follow, and tell. A connection on which something is still to
        come is closed."""
        if question.timer is not None:
            question.timer.cancel()
        if question.connection is not None:
            question.connection.listen_no_more()
            self._pool.put_back(question.connection, question.bypass)
        question.tell()

    def _next(self, bypass: Bypass) -> None:
        """A connection is idle: ask on it what has waited longest."""
        for question in self._waiting:
            if question.bypass == bypass:
                break
        else:
            return
        connection = self._pool.take_at_once(bypass)
        if connection is None:
            return
        self._waiting.remove(question)
        if not self._begin(question, connection):
            self._end_unasked(question)

    def _end_unasked(self, question: _Question) -> None:
        question.connection = None  # it went back already
        self._end(question)
