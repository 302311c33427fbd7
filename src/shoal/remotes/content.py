"""Content in motion: a stream of a key's bytes between a remote and whoever asked for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from shoal.values.backend import verifier
from shoal.values.key import Key

Chunk = bytes | bytearray | memoryview
"""At least one byte; usually about CHUNK_SIZE. Valid until the next chunk is asked for."""

CHUNK_SIZE = 1 << 20
AT_ONCE = 64 << 10
"""Bytes up to which a content is read when it is opened."""


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes that are simply a file of this machine: a transport can sendfile() it and a store
    can reflink or copy it in the kernel instead of reading it."""

    path: str
    offset: int  # bytes from the start of the file
    length: int  # bytes


class ContentDigest(Protocol):
    """A hash of the whole content of a key, made once by whoever feeds several stores."""

    async def matches(self) -> bool:
        """After the stream's end: tell whether all bytes, from 0 on, are the key's content."""


class Filler(Protocol):
    """Puts the bytes of a content where its reader wants them, so that memory can be used
    again and again."""

    @property
    def batch(self) -> int:
        """How many bytes are best asked for now."""

    async def fill(self, buffer: memoryview) -> int:
        """Put the next bytes into `buffer` and give how many; 0 after the last one.

        Fewer than fit when the source is slow, or broke off: then the next call raises what
        stream() would have raised.
        """


class Batches(Protocol):
    """The bytes of a content as batches that a thread can take, one after the other for as
    long as there are some, without asking the event loop for each."""

    async def ready(self) -> bool:
        """Wait until there is a batch to take; False after the last one.

        What was taken before is not used any more. Raises what stream() would raise.
        """

    def some(self) -> Iterator[Chunk]:
        """Give batches that are there, without waiting for any. For one thread at a time."""


class Content(ABC):
    """The bytes of a key from `offset` on.

    `size` is how many bytes follow, None when that is not known before the end.
    `region` is set when the bytes are a file on this machine. `whole` is set when all of them
    are in memory already. `digest` is set when the feeder hashes the whole stream (which then
    starts at offset 0), so that the reader need not. `filler` is set when all bytes can be
    read into memory of the reader's own, instead of by stream(). `batches` is set when a thread
    can take them, instead. `took` is set to hear, from a store that copies `region` by itself,
    where in the key each piece began, and how many bytes it was.
    """

    offset: int = 0
    size: int | None = None
    region: Region | None = None
    whole: bytes | None = None
    digest: ContentDigest | None = None
    filler: Filler | None = None
    batches: Batches | None = None
    took: Callable[[int, int], None] | None = None

    @abstractmethod
    def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        """Give the chunks, after the first `skip` bytes of this content. Call it once.

        Raises RemoteUnavailable when the source ends early, so a normal end means that all
        `size` bytes came.
        """

    async def confirm(self) -> bool:
        """After the last byte: tell whether the sender still vouches for the bytes.

        False means that they changed while they were read, or that the sender could not
        check: they must be verified by hash before use.
        """
        return True


class MemoryContent(Content):
    """Content that was read when it was opened."""

    def __init__(self, whole: bytes, offset: int = 0) -> None:
        self.whole: bytes = whole
        self.size = len(whole)
        self.offset = offset

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        if skip < len(self.whole):
            yield self.whole[skip:]


class StreamContent(Content):
    """Content that comes from an iterator of chunks, as from a network connection."""

    def __init__(self, chunks: AsyncIterator[Chunk], *, size: int | None, offset: int = 0) -> None:
        self._chunks = chunks
        self.size = size
        self.offset = offset

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        async for chunk in self._chunks:
            if skip >= len(chunk):
                skip -= len(chunk)
                continue
            yield memoryview(chunk)[skip:] if skip else chunk
            skip = 0


SMALL = 256 << 10
"""Bytes up to which a content is better gathered in memory than handed on piece by piece."""


class WholeContent(MemoryContent):
    """All bytes of a key, in memory. It is hashed once, whoever stores it."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        """`data` are all the bytes, of which the content is those from `offset` on."""
        super().__init__(data[offset:], offset)
        self.data = data
        self._verdicts: dict[tuple[Key, ...], bool | None] = {}

    def from_offset(self, offset: int) -> WholeContent:
        """Give the part from `offset` on."""
        return self if offset == self.offset else WholeContent(self.data, offset)

    def is_content_of(self, key: Key, equivalents: Collection[Key] = ()) -> bool | None:
        """Tell whether `data` is the content of `key`; None when the key says nothing about
        its content."""
        keys = (key, *equivalents)
        if keys not in self._verdicts:
            verifying = verifier(key, equivalents)
            if verifying is not None:
                verifying.update(self.data)
            self._verdicts[keys] = None if verifying is None else verifying.matches()
        return self._verdicts[keys]
