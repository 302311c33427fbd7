"""Content whose size must be known before its first byte is sent on."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from shoal.remotes.content import CHUNK_SIZE, Chunk, Content


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
async def with_size(content: Content, known: int | None) -> AsyncIterator[tuple[Content, int]]:
    """Give content with its size in bytes. When neither the content nor the caller (`known`)
    knows it, the content is first read into a temporary file without a name, as the protocol
    leaves no other way."""
    size = known if content.size is None else content.size
    if size is not None:
        yield content, size
        return
    with tempfile.TemporaryFile() as file:
        async for chunk in content.stream():
            await asyncio.to_thread(file.write, chunk)
        size = file.tell()
        yield _SpooledContent(file, size, content), size
