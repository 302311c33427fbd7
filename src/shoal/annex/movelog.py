"""`ANNEX/move.log`: moves under way whose destination did not have the key at the start.

Such a move needs no other copies, since it only changes where the content is. When it is
interrupted after the content was sent, the log lets the next one know that this is so.
A line is `SOURCE DESTINATION KEY`. The log is short: git-annex gives it no more than 100.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from shoal.values.uuid import uuid_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shoal.git.repository import Repository
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_MOST = 100


class MoveLog:
    """The log of one repository. All calls may block."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._path = repository.annex_path("move.log")

    def begin(self, source: UUID, destination: UUID, key: Key) -> None:
        """Note that a move begins, and that the destination does not have the key."""
        line = _line(source, destination, key)
        self._change(
            lambda lines: lines if line in lines or len(lines) >= _MOST else [*lines, line]
        )

    def end(self, source: UUID, destination: UUID, key: Key) -> None:
        """Note that the move is over, or will not be finished."""
        line = _line(source, destination, key)
        self._change(lambda lines: [other for other in lines if other != line])

    def is_under_way(self, source: UUID, destination: UUID, key: Key) -> bool:
        """Tell whether such a move began and did not end."""
        return _line(source, destination, key) in self._read()

    def _read(self) -> list[bytes]:
        with suppress(FileNotFoundError), open(self._path, "rb") as file:
            return file.read().splitlines()
        return []

    def _change(self, change: Callable[[list[bytes]], list[bytes]]) -> None:
        with self._locked():
            old = self._read()
            new = change(old)
            if new != old:
                text = b"".join(line + b"\n" for line in new)
                self._repository.othertmp.replace(self._path, text)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._repository.locker.exclusive(self._repository.lock_path("move")):
            yield


def _line(source: UUID, destination: UUID, key: Key) -> bytes:
    return b" ".join((uuid_bytes(source), uuid_bytes(destination), bytes(key)))
