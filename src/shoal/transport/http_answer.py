"""What comes of an HTTP request: an answer, or the reason why there is none."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from shoal.p2phttp.codec import MAX_BODY

_CONNECT = re.compile(r"Connect call failed \('([^']+)', ([0-9]+)")  # as asyncio words it

Piece = bytes | bytearray | memoryview
"""Some bytes of a body, valid until the next ones are asked for."""


class HttpFailure(Exception):
    """There was no answer, or it broke off; the text says why, in a few words.

    `disconnected`: the connection ended before any of the answer came, as a kept connection
    does when it was idle for too long.
    """

    def __init__(self, text: str, *, disconnected: bool = False) -> None:
        super().__init__(text)
        self.disconnected = disconnected


class HttpAnswer(ABC):
    """An answer whose body has not been read yet."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason

    @property
    def summary(self) -> str:
        """Status and reason: `404 Not Found`."""
        return f"{self.status} {self.reason}".strip()

    @abstractmethod
    def header(self, name: str) -> str | None:
        """Give a header of the answer."""

    @abstractmethod
    def chunks(self) -> AsyncIterator[Piece]:
        """Give the body as it arrives. Raises HttpFailure when it breaks off."""

    async def read(self) -> bytes:
        """Give the whole body, which must be short. Raises HttpFailure."""
        body = b""
        async for chunk in self.chunks():
            body += chunk
            if len(body) > MAX_BODY:
                raise HttpFailure("the answer is too long")
        return body


def failure_of(error: OSError) -> HttpFailure:
    """Give the failure that an error of a socket stands for."""
    if isinstance(error, TimeoutError):
        return HttpFailure("no answer in time")
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return HttpFailure("the connection was closed", disconnected=True)
    return HttpFailure(text_of(error))


def text_of(error: BaseException) -> str:
    """Say in a few words what went wrong."""
    text = str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    if isinstance(error, OSError) and error.errno and (found := _CONNECT.match(text)):
        host, port = found.groups()
        return f"cannot connect to {host} port {port}: {os.strerror(error.errno)}"
    return text
