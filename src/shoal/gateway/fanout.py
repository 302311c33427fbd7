"""One source, read once, given to several readers at once.

    source ──> window of a few batches ──> branch of node 1 ──> its store()
                                      ├──> branch of node 2 ──> its store()
                                      └──> hash, in a thread

Who writes or hashes large batches takes them in a thread, as long as there are some: with few
processors the event loop may have to wait for its turn, and they would have to wait for it.

Small chunks are gathered into batches of about 1 MiB, which all branches share; a source that
can fill memory of ours fills that of batches that nobody needs any more. The source is read
on only while the slowest branch is less than `DEPTH` batches behind, so memory is bounded
whatever the size of the content and the number of branches. A branch that was left, for
whatever reason, holds nobody up.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from shoal.errors import RemoteUnavailable
from shoal.remotes.content import CHUNK_SIZE, Chunk, Content, ContentDigest, Filler

DEPTH = 4  # batches that are kept for the slowest branch
_IN_TURN = 2 * DEPTH  # batches that a thread may take before others have their turn
_FLUSH_AFTER = 0.5  # seconds; a slow source's bytes are passed on at least this often


class Branch(Content):
    """What one reader gets of the source: the key's bytes from `offset` on."""

    def __init__(self, fanout: Fanout, offset: int, digest: ContentDigest | None) -> None:
        self._fanout = fanout
        self._skip = offset - fanout.source.offset
        size = fanout.source.size
        self.offset = offset
        self.size = None if size is None else max(0, size - self._skip)
        self.digest = digest if offset == 0 else None
        self.batches = self if fanout.source.filler is not None else None
        self.holds_one = False  # the reader uses batch number `taken`
        self.taken = 0  # batches that the reader is done with
        self.moved = fanout.clock()  # when the reader last took one, or could after a wait

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        self._skip += skip
        while await self.ready():
            for batch in self.some():
                yield batch

    async def ready(self) -> bool:
        return await self._fanout.ready(self)

    def some(self) -> Iterator[Chunk]:
        for _ in range(_IN_TURN):
            batch = self._fanout.next_for(self)
            if batch is None:
                return
            skipped = min(self._skip, len(batch))
            self._skip -= skipped
            if skipped < len(batch):
                yield memoryview(batch)[skipped:] if skipped else batch

    async def confirm(self) -> bool:
        return await self._fanout.vouched()

    def leave(self) -> None:
        """The reader needs no more."""
        self._fanout.leave(self)

    @property
    def at_end(self) -> bool:
        """The reader has asked for more after the last batch of a source that has ended."""
        return self._fanout.ended and self.taken >= self._fanout.head

    def stalled_for(self) -> float:
        """Give for how many seconds the reader has not moved, though there is more to take or
        the source has ended."""
        idle = self.taken >= self._fanout.head and not self._fanout.ended
        return 0.0 if idle else self._fanout.clock() - self.moved


class Fanout:
    """A source and the window of batches that its branches share.

    Make all branches first; then `pump` reads the source to its end.
    """

    def __init__(self, source: Content, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds, from any start."""
        self.source = source
        self.clock = clock
        self.head = 0  # batches read so far
        self.ended = False
        self.broke_off = False
        self._window: deque[Chunk] = deque()
        self._free: list[bytearray] = []  # memory for batches
        self._branches: set[Branch] = set()
        self._helpers: set[Branch] = set()
        self._more = asyncio.Event()
        self._room: asyncio.Future[None] | None = None  # somebody waits for room
        self._lock = threading.Lock()  # on the window and who reads it: readers may be threads
        self._vouched: bool | None = None

    def branch(self, offset: int, digest: ContentDigest | None = None) -> Branch:
        """Give a reader from byte `offset` of the key on. `digest` is handed on to a reader
        that gets the key from its start."""
        branch = Branch(self, offset, digest)
        self._branches.add(branch)
        return branch

    def helper(self) -> Branch:
        """Give a reader of everything, for whose sake alone the source is not read on."""
        branch = Branch(self, self.source.offset, None)
        self._helpers.add(branch)
        return branch

    async def pump(self) -> None:
        """Read the source to its end, or until nobody reads any more.

        Raises what the source raises. The branches then get what came before that, and end
        with RemoteUnavailable.
        """
        complete = False
        try:
            await self._read()
            complete = True
            if self._branches:
                self._vouched = await self.source.confirm()
        finally:
            with self._lock:
                self._end_waits()
            self.ended = True
            self.broke_off = not complete
            self._vouched = bool(self._vouched)
            self._wake_readers()

    async def _read(self) -> None:
        filler = self.source.filler
        total = await (self._gather() if filler is None else self._fill(filler))
        if self._branches and self.source.size not in (None, total):
            raise RemoteUnavailable("the sender", "it sent another size than it announced")

    async def _gather(self) -> int:
        """Make batches of the source's chunks; give how many bytes those were."""
        gathered: list[bytes] = []
        size = total = 0
        began = 0.0
        try:
            async for chunk in self.source.stream():
                if not gathered:
                    began = self.clock()
                gathered.append(bytes(chunk))  # no copy when it is bytes already
                size += len(chunk)
                total += len(chunk)
                if size >= CHUNK_SIZE or self.clock() - began > _FLUSH_AFTER:
                    self._append(_joined(gathered))
                    size = 0
                    await self._wait_for_room()
                    if not self._branches:
                        break
        finally:
            if gathered:
                self._append(_joined(gathered))
        return total

    async def _fill(self, filler: Filler) -> int:
        """Have the source fill batches; give how many bytes came."""
        total = 0
        while self._branches:
            buffer = self._memory(filler.batch)
            count = await filler.fill(memoryview(buffer))
            if count == 0:
                break
            total += count
            self._append(memoryview(buffer)[:count])
            await self._wait_for_room()
        return total

    def _memory(self, size: int) -> bytearray:
        """Give memory for a batch, used before if there is any of the right size."""
        with self._lock:
            buffer = self._free.pop() if self._free else None
        return bytearray(size) if buffer is None or len(buffer) != size else buffer

    def _append(self, batch: Chunk) -> None:
        with self._lock:
            if not self._branches:
                return
            self._window.append(batch)
            self._end_waits()
            self.head += 1
        self._wake_readers()

    def _end_waits(self) -> None:
        """Who waited for the source did not stall: its time begins when there is more, not when
        it gets to see that."""
        now = self.clock()
        for branch in self._branches:
            if branch.taken >= self.head:
                branch.moved = now

    async def _wait_for_room(self) -> None:
        while True:
            with self._lock:
                if not self._branches or len(self._window) < DEPTH:
                    return
                room = self._room = asyncio.get_running_loop().create_future()
            await room

    def _wake_readers(self) -> None:
        self._more.set()
        self._more.clear()

    async def ready(self, branch: Branch) -> bool:
        """As Batches.ready(), for a branch."""
        with self._lock:
            self._release(branch)
        while branch.taken >= self.head and not self.ended:
            await self._more.wait()
        branch.moved = self.clock()
        if branch.taken >= self.head and self.broke_off:
            raise RemoteUnavailable("the sender", "the upload broke off")
        return branch.taken < self.head

    def next_for(self, branch: Branch) -> Chunk | None:
        """Give what follows the batch that `branch` had, if it is there. For threads, too."""
        with self._lock:
            self._release(branch)
            reads = branch in self._branches or branch in self._helpers
            if not reads or branch.taken >= self.head:
                return None
            branch.holds_one = True
            return self._window[branch.taken - self.head]

    def _release(self, branch: Branch) -> None:
        """The branch uses its batch no more."""
        branch.moved = self.clock()
        if branch.holds_one:
            branch.holds_one = False
            branch.taken += 1
            self._trim()

    async def vouched(self) -> bool:
        """Tell, after the end, whether the source vouches for its bytes."""
        while not self.ended:
            await self._more.wait()
        return bool(self._vouched)

    def leave(self, branch: Branch) -> None:
        """Forget a branch."""
        with self._lock:
            if branch.holds_one:
                branch.holds_one = False
                self._never_use_again(branch.taken)
            self._branches.discard(branch)
            self._helpers.discard(branch)
            self._trim()
            if not self._branches:
                self._free.clear()

    def _trim(self) -> None:
        """Free the batches that nobody needs any more."""
        needed = [branch.taken for branch in (*self._branches, *self._helpers)]
        first = min(needed) if self._branches else self.head
        while self._window and self.head - len(self._window) < first:
            batch = self._window.popleft()
            if isinstance(batch, memoryview) and isinstance(batch.obj, bytearray):
                self._free.append(batch.obj)
        if self._room is not None:
            self._room.get_loop().call_soon_threadsafe(_wake, self._room)
            self._room = None

    def _never_use_again(self, number: int) -> None:
        """Somebody left in the middle of a batch. A thread may go on to read its memory, as
        one that a disk holds up: it must find the same bytes, whenever that is."""
        first = self.head - len(self._window)
        if number >= first:
            self._window[number - first] = bytes(self._window[number - first])


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _joined(gathered: list[bytes]) -> bytes:
    """Make the gathered chunks one batch, and begin anew."""
    batch = gathered[0] if len(gathered) == 1 else b"".join(gathered)
    gathered.clear()
    return batch
