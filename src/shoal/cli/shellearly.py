"""The first moments of a P2P session, before all that serves it is imported.

Most sessions begin with a greeting and a version, and then ask whether keys are there, or for
contents. All that is answered here, with as little as possible: no event loop, no threads, and
two system calls for a question. The first request that needs more is handed over, with the
session, to server/p2p_session.py. While the client is silent, what that needs is imported bit by
bit.
"""

from __future__ import annotations

import errno
import os
import select
from contextlib import closing, suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from shoal.errors import RemoteUnavailable
from shoal.git.identity import identity_of
from shoal.git.objectfile import ObjectFile
from shoal.git.transfers import LOGGED_SIZE
from shoal.p2p.messages import CheckPresent, Data, Failure, Get, Success
from shoal.p2p.server import Access, Receipt, ServerSession
from shoal.transport.pipes import widen

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.git.repository import Repository
    from shoal.git.transfers import Transfer
    from shoal.p2p.server import Event
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_READ_SIZE = 1 << 16  # bytes asked for at a time
_SILENCE = 3  # ms for which the client says nothing: time to import something
_LOOK_HOLDS = 0.002  # seconds for which config is taken to be unchanged
_PIECE = 1 << 20  # bytes of a content that are sent in one system call
_AT_ONCE = 1 << 16  # bytes of a content that are sent in one piece with what is said about it

# In this order each of them takes about ten milliseconds.
_LATER = (
    "dataclasses", "logging", "ssl", "asyncio", "tempfile", "shoal.remotes.base",
    "shoal.remotes.local", "shoal.server.p2p_session", "shoal.cli.shellserve",
)  # fmt: skip

_T = TypeVar("_T")


class EarlySession:
    """A session of a client that was greeted already, on stdin and stdout."""

    def __init__(self, repository: Repository, client: UUID, access: Access) -> None:
        self.session = ServerSession(repository.uuid, access, greeted=True)
        self._repository = repository
        self._client = client
        self._objects = repository.objects
        self._identity = identity_of(repository)
        self._looked_until = 0.0  # of the monotonic clock: when config has to be looked at again
        self._later = [*_LATER]

    def serve(self) -> Event:
        """Answer what can be answered here; give the first event that needs more.

        Raises RemoteProtocolError when the client's bytes make no sense, RemoteUnavailable when
        it goes away while content is sent, or that cannot be sent to its end.
        """
        while True:
            event = self.session.next_event()
            self._flush()
            if event is None:
                self.session.feed(_receive(self._later))
            elif not self._answered(event):
                return event

    def _flush(self) -> None:
        if output := self.session.take_output():
            with suppress(BrokenPipeError):  # reading will tell that the client has gone
                _send(output)

    def _answered(self, event: Event) -> bool:
        """Answer what takes no more than a look at the disk; False for all else."""
        match event:
            case CheckPresent(key):
                known, path = self._find(key)
                if known:
                    self.session.answer(Success() if path is not None else Failure())
                return known
            case Get(offset, _, key):
                _, path = self._find(key)
                return path is not None and offset >= 0 and self._sent(path, event)
            case Receipt():
                return True
            case _:
                return False

    def _find(self, key: Key) -> tuple[bool, str | None]:
        """Tell whether it is known where a content is, or that there is none, and give that. It
        has to be found out with care when a content may have been edited, or the disk is not
        as it should be."""
        try:
            now = monotonic()
            if now >= self._looked_until:
                self._repository.refresh_config()
                if not self._is_there():
                    return False, None
                self._looked_until = now + _LOOK_HOLDS
            if self._objects.settings.thin:
                return False, None
            path = self._objects.path(key)
            return path is not None or self._is_there(), path
        except OSError:
            return False, None

    def _is_there(self) -> bool:
        """Tell whether the repository is the one that was opened."""
        return self._identity is not None and identity_of(self._repository) == self._identity

    # Sending

    def _sent(self, path: str, get: Get) -> bool:
        """Send a content; False, and nothing was sent, when it cannot be opened."""
        try:
            file = ObjectFile(path)
        except OSError:
            return False
        with closing(file):
            offset = min(get.offset, file.status.st_size)
            length = file.status.st_size - offset
            transfer = self._transfer(get, length)
            failed = True
            try:
                self._send_file(file, offset, length)
                failed = False
            except (BrokenPipeError, ConnectionResetError) as error:
                raise RemoteUnavailable("client", "connection lost") from error
            finally:
                if transfer is not None:
                    transfer.end(failed=failed)
        return True

    def _transfer(self, get: Get, length: int) -> Transfer | None:
        """Record that a large content is being sent."""
        if length < LOGGED_SIZE:
            return None
        file = get.file.decode("utf-8", "surrogateescape")
        return self._objects.transfers.begin_upload(get.key, self._client, file)

    def _send_file(self, file: ObjectFile, offset: int, length: int) -> None:
        self.session.answer(Data(length))
        output = self.session.take_output()
        if length <= _AT_ONCE:
            content = os.pread(file.fd, length, offset)
            output, sent = output + content, len(content)
        else:
            _send(output)
            output, sent = b"", _send_from(file.fd, offset, length)
        if sent < length:
            raise RemoteUnavailable(self._repository.path, "the content ended early")
        self.session.payload_sent(length)
        self.session.payload_done(valid=file.is_unchanged())
        _send(output + self.session.take_output())


def _receive(later: list[str]) -> bytes:
    while later and not _ready(0, select.POLLIN, _SILENCE):
        __import__(later.pop(0))
    try:
        return _patiently(0, select.POLLIN, lambda: os.read(0, _READ_SIZE))
    except ConnectionResetError:
        return b""


def _send(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[_patiently(1, select.POLLOUT, partial(os.write, 1, rest)) :]


def _send_from(fd: int, offset: int, length: int) -> int:
    """Send bytes of a file, or as many as there are; give how many."""
    widen(1)
    sent = 0
    while sent < length:
        count = min(_PIECE, length - sent)
        try:
            moved = _patiently(1, select.POLLOUT, partial(os.sendfile, 1, fd, offset + sent, count))
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOSYS}:
                raise
            data = os.pread(fd, count, offset + sent)
            _send(data)
            moved = len(data)
        if not moved:
            break
        sent += moved
    return sent


def _patiently(fd: int, event: int, call: Callable[[], _T]) -> _T:
    """Give what `call` gives when `fd` can be read or written, whether or not it would wait for
    that itself."""
    while True:
        try:
            return call()
        except BlockingIOError:
            _ready(fd, event, None)


def _ready(fd: int, event: int, milliseconds: int | None) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(milliseconds))
