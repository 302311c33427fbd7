"""The first moments of a P2P session, before all that serves it is imported.

Most sessions begin with a greeting, a version and a question whether a key is there, and many
consist of nothing else. All that is answered here, with as little as possible: no event loop,
no threads. The first request that needs more is handed over, with the session, to
server/p2p_session.py. While the client is silent, what that needs is imported bit by bit.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING

from shoal.git.identity import identity_of
from shoal.p2p.messages import CheckPresent, Failure, Success
from shoal.p2p.server import Access, ServerSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoal.git.repository import Repository
    from shoal.p2p.server import Event
    from shoal.values.key import Key

_READ_SIZE = 1 << 16  # bytes asked for at a time
_SILENCE = 3  # ms for which the client says nothing: time to import something

# In this order each of them takes about ten milliseconds.
_LATER = (
    "dataclasses", "logging", "ssl", "asyncio", "tempfile", "shoal.remotes.base",
    "shoal.remotes.local", "shoal.server.p2p_session", "shoal.cli.shellserve",
)  # fmt: skip


class EarlySession:
    """A session of a client that was greeted already, on stdin and stdout."""

    def __init__(self, repository: Repository, access: Access) -> None:
        self.session = ServerSession(repository.uuid, access, greeted=True)
        self._repository = repository
        self._objects = repository.objects
        self._identity = identity_of(repository)
        self._later = iter(_LATER)

    def serve(self) -> Event:
        """Answer what can be answered here; give the first event that needs more.

        Raises RemoteProtocolError when the client's bytes make no sense.
        """
        while True:
            event = self.session.next_event()
            _send(self.session.take_output())
            if event is None:
                self.session.feed(_receive(self._later))
            elif not self._answered(event):
                return event

    def _answered(self, event: Event) -> bool:
        """Answer a question whether a key is there; False when that takes more than a look."""
        if not isinstance(event, CheckPresent):
            return False
        present = self._present(event.key)
        if present is None:
            return False
        self.session.answer(Success() if present else Failure())
        _send(self.session.take_output())
        return True

    def _present(self, key: Key) -> bool | None:
        """None: it has to be found out with care, because a content may have been edited, or
        the disk is not as it should be."""
        try:
            self._repository.refresh_config()
            if self._objects.settings.thin:
                return None
            present = self._objects.path(key) is not None
            there = self._identity is not None and identity_of(self._repository) == self._identity
            return present if there else None
        except OSError:
            return None


def _receive(later: Iterator[str]) -> bytes:
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while not poll.poll(_SILENCE):
        module = next(later, None)
        if module is None:
            poll.poll()
            break
        __import__(module)
    try:
        return os.read(0, _READ_SIZE)
    except ConnectionResetError:
        return b""


def _send(data: bytes) -> None:
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    rest = memoryview(data)
    with contextlib.suppress(BrokenPipeError):  # reading will tell that the client has gone
        while rest:
            poll.poll()
            rest = rest[os.write(1, rest[: select.PIPE_BUF]) :]
