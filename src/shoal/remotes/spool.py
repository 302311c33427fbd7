"""Content whose size must be known before its first byte is sent on."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO

from shoal.errors import NotEnoughSpace
from shoal.remotes.content import CHUNK_SIZE, Chunk, Content

Reserve = Callable[[], int | None]
"""Gives the bytes that must stay free where content is kept (None: none)."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def usual_reserve() -> int:
    """Give what stays free where no repository says otherwise."""
    from shoal.git.diskreserve import DEFAULT_RESERVE

    return DEFAULT_RESERVE


class _SpooledContent(Content):
    def __init__(self, file: IO[bytes], size: int, source: Content) -> None:
        self._file = file
        self._source = source
        self.size = size
        self.offset = source.offset

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        await asyncio.to_thread(self._file.seek, skip)
        while chunk := await asyncio.to_thread(self._file.read, CHUNK_SIZE):
            yield chunk

    async def confirm(self) -> bool:
        return await self._source.confirm()


@asynccontextmanager
async def with_size(
    content: Content, known: int | None, reserve: Reserve = usual_reserve
) -> AsyncIterator[tuple[Content, int]]:
    """Give content with its size in bytes. When neither the content nor the caller (`known`)
    knows it, the content is first read into a temporary file without a name, as the protocol
    leaves no other way. Raises NotEnoughSpace when that would use what is to stay free."""
    size = known if content.size is None else content.size
    if size is not None:
        yield content, size
        return
    import tempfile  # hardly ever needed

    with tempfile.TemporaryFile(buffering=0) as file:
        size = 0
        async for chunk in content.stream():
            try:
                await asyncio.to_thread(_keep, file, chunk, reserve())
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                raise NotEnoughSpace(
                    "content whose size is not known before its end has to be kept until then, and "
                    f"there is not enough free space in {tempfile.gettempdir()} (TMPDIR)",
                    hint="free some there, or adjust annex.diskreserve",
                ) from error
            size += len(chunk)
        yield _SpooledContent(file, size, content), size


def _keep(file: IO[bytes], chunk: Chunk, reserve: int | None) -> None:
    from shoal.git.diskreserve import free_bytes

    if reserve is not None and free_bytes(file.fileno()) - len(chunk) < reserve:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]
