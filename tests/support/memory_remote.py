"""A complete Remote in memory, whose calls can be made to fail or to wait: for tests.

    remote = MemoryRemote()
    key = remote.put(b"hello")                      # as if it had been stored before
    remote.fail("remove")                           # the next remove() is not answered
    remote.fail("retrieve", after=100, times=None)  # every download breaks off after 100 bytes
    gate = remote.hold("check_present")             # calls wait at gate until gate.open() ...
    await gate.reached()                            # ... and the test can wait for one to come

`remote.calls` lists the calls as (verb, key) in the order in which they came.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from shoal.errors import (
    KeyNotPresent,
    LocalProtocolError,
    RemoteRefused,
    RemoteUnavailable,
    TransferInProgress,
)
from shoal.remotes.base import (
    NOBODY,
    AlreadyPresent,
    Caller,
    Remote,
    RemoteInfo,
    RemoveResult,
    StoreResult,
    Upload,
)
from shoal.remotes.content import Chunk, Content, StreamContent
from shoal.values.key import Key
from shoal.values.uuid import UUID

MEMORY_UUID = UUID("55555555-5555-4555-8555-555555555555")
RETENTION = 600  # seconds for which an abandoned lock is kept
_HASHES = {"SHA1": "sha1", "SHA224": "sha224", "SHA256": "sha256", "SHA512": "sha512", "MD5": "md5"}


def key_of(content: bytes, backend: str = "SHA256E", extension: str = ".txt") -> Key:
    """Make the key of `content`; backends without a final E get no extension."""
    digest = hashlib.new(_HASHES[backend.removesuffix("E")], content).hexdigest()
    name = digest + (extension if backend.endswith("E") else "")
    return Key(backend.encode(), name.encode(), len(content))


def is_content_of(key: Key, content: bytes) -> bool:
    """Verify `content`; a backend without a hash is verified by size only, if it has one."""
    hash_name = _HASHES.get(key.backend.removesuffix(b"E").decode("ascii", "replace"))
    if hash_name is None:
        return key.size is None or key.size == len(content)
    digest = hashlib.new(hash_name, content).hexdigest().encode()
    return key.name.split(b".", 1)[0] == digest


class Gate:
    """Holds calls until the test opens it."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._reached = asyncio.Event()

    async def reached(self) -> None:
        """Wait until a call has come to the gate."""
        await self._reached.wait()

    def open(self) -> None:
        """Let every call through, from now on."""
        self._open.set()

    async def wait(self) -> None:
        """What the remote does in a held call."""
        self._reached.set()
        await self._open.wait()


@dataclass
class Fault:
    """What goes wrong: after `after` bytes of a transfer, wait at `gate`, raise `error`."""

    verb: str
    error: BaseException | None
    gate: Gate | None
    after: int  # bytes that pass first; of store and retrieve only
    times: int | None  # None: for ever


def content_from(
    data: bytes, *, offset: int = 0, chunk: int = 7, size: int | None = -1, valid: bool = True
) -> Content:
    """Give `data` from `offset` on as Content in small chunks. `size` -1: as it is."""

    async def chunks() -> AsyncIterator[Chunk]:
        for start in range(offset, len(data), chunk):
            await asyncio.sleep(0)
            yield data[start : start + chunk]

    known = max(0, len(data) - offset) if size == -1 else size
    return _Vouched(chunks(), size=known, offset=offset, valid=valid)


async def gather(content: Content) -> bytes:
    """Read all of `content`."""
    return b"".join([bytes(chunk) async for chunk in content.stream()])


class _Vouched(StreamContent):
    def __init__(
        self, chunks: AsyncIterator[Chunk], *, size: int | None, offset: int, valid: bool
    ) -> None:
        super().__init__(chunks, size=size, offset=offset)
        self._valid = valid

    async def confirm(self) -> bool:
        return self._valid


@dataclass
class MemoryRemote(Remote):
    """Holds objects and partial uploads in dicts.

    `clock` is its monotonic time in seconds; it stands still unless a test sets it.
    `changing` keys are announced as invalid after their last byte.
    """

    uuid: UUID = MEMORY_UUID
    name: str = "memory"
    cost: float = 100.0
    can_lock: bool = True
    read_only: bool = False
    objects: dict[Key, bytes] = field(default_factory=dict)
    partial: dict[Key, bytes] = field(default_factory=dict)
    stored_in: tuple[UUID, ...] = ()  # what a cluster would add to its answers
    clock: int = 1000
    at_once: bool = False  # what it is asked at once it answers
    soon: bool = False  # it tells soon what it is asked
    untold: list[Callable[[], None]] | None = None  # where it puts what it would tell
    changing: set[Key] = field(default_factory=set)
    retained_until: dict[Key, int] = field(default_factory=dict)
    calls: list[tuple[str, Key | None]] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # associated files that callers named
    faults: list[Fault] = field(default_factory=list)
    locks: Counter[Key] = field(default_factory=Counter)
    closed: bool = False
    receiving: set[Key] = field(default_factory=set)

    # What tests use

    def put(self, content: bytes, backend: str = "SHA256E") -> Key:
        """Hold `content`, as if it had been stored before; give its key."""
        key = key_of(content, backend)
        self.objects[key] = content
        return key

    def fail(
        self,
        verb: str,
        error: BaseException | None = None,
        *,
        after: int = 0,
        times: int | None = 1,
    ) -> None:
        """Let the next call (or `times` calls, None: all) of `verb` raise `error`.

        Verbs: check_present, retrieve, begin_store, store, store_present, remove, timestamp,
        lock_content, unlock. Without `error`: RemoteUnavailable. `after` bytes of a store or
        of a retrieve pass first.
        """
        raised = error or RemoteUnavailable(self.name, "the test says so")
        self.faults.append(Fault(verb, raised, None, after, times))

    def hold(self, verb: str, *, after: int = 0, times: int | None = 1) -> Gate:
        """Let the next calls of `verb` wait at a gate; then they go on as usual."""
        gate = Gate()
        self.faults.append(Fault(verb, None, gate, after, times))
        return gate

    def heal(self) -> None:
        """Take back all faults."""
        self.faults.clear()

    @property
    def idle(self) -> bool:
        """Nothing is locked and nothing is being received."""
        return not self.receiving and not any(self.locks.values())

    # The Remote interface

    @property
    def info(self) -> RemoteInfo:
        return RemoteInfo(
            self.uuid, self.name, self.cost, read_only=self.read_only, can_lock=self.can_lock
        )

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        await self.called("check_present", key, caller)
        return key in self.objects

    def present_at_once(self, key: Key, *, caller: Caller = NOBODY) -> bool | None:
        if not self.at_once:
            return None
        self.calls.append(("present_at_once", key))
        self.callers.append(caller)
        return key in self.objects

    def read_at_once(
        self, key: Key, offset: int, most: int, *, caller: Caller = NOBODY
    ) -> bytes | None:
        if not self.at_once:
            return None
        self.calls.append(("read_at_once", key))
        self.callers.append(caller)
        data = self.objects.get(key)
        good = data is not None and key not in self.changing and len(data) - offset <= most
        return data[offset:] if data is not None and good else None

    def present_soon(
        self, key: Key, tell: Callable[[bool | None], None], *, caller: Caller = NOBODY
    ) -> bool:
        self._tell_soon("present_soon", key, caller, lambda: tell(key in self.objects))
        return self.soon

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        *,
        caller: Caller = NOBODY,
    ) -> bool:
        data = self.objects.get(key)
        good = data is not None and key not in self.changing and len(data) - offset <= most
        answer = data[offset:] if data is not None and good else None
        self._tell_soon("read_soon", key, caller, lambda: tell(answer))
        return self.soon

    def _tell_soon(self, verb: str, key: Key, caller: Caller, telling: Callable[[], None]) -> None:
        if not self.soon:
            return
        self.calls.append((verb, key))
        self.callers.append(caller)
        if self.untold is None:
            asyncio.get_running_loop().call_soon(telling)
        else:
            self.untold.append(telling)

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve(key, offset, file, caller)

    @asynccontextmanager
    async def _retrieve(
        self, key: Key, offset: int, file: str, caller: Caller
    ) -> AsyncIterator[Content]:
        fault = await self.called("retrieve", key, caller, file)
        if key not in self.objects:
            raise KeyNotPresent(self.name, str(key))
        data = self.objects[key]
        offset = min(offset, len(data))
        plain = content_from(data, offset=offset, chunk=1 << 16, valid=key not in self.changing)
        yield plain if fault is None else _Faulty(plain, fault)

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        await self.called("begin_store", key, caller, file)
        if key in self.objects:
            return AlreadyPresent(self.stored_in)
        if self.read_only:
            raise RemoteRefused("this repository is read-only; write access denied")
        if key in self.receiving:
            raise TransferInProgress()
        self.receiving.add(key)
        return MemoryUpload(self, key)

    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        await self.called("store_present", key, caller, file)
        stored = key in self.objects
        return StoreResult(stored, self.stored_in if stored else ())

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        await self.called("remove", key, caller)
        if key not in self.objects:
            return RemoveResult(True, self.stored_in)
        if self.locks[key] or self.retained_until.get(key, 0) > self.clock:
            return RemoveResult(False, error="content is locked")
        if before is not None and self.clock >= before:
            return RemoveResult(False)
        del self.objects[key]
        return RemoveResult(True, self.stored_in)

    async def timestamp(self) -> int:
        await self.called("timestamp", None, NOBODY)
        return self.clock

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        return self._lock_content(key, caller)

    @asynccontextmanager
    async def _lock_content(self, key: Key, caller: Caller) -> AsyncIterator[None]:
        await self.called("lock_content", key, caller)
        if not self.can_lock or key not in self.objects:
            raise RemoteRefused("the content cannot be locked")
        with self._locked(key):
            try:
                yield
            finally:
                await self._unlock(key, caller)

    @contextmanager
    def _locked(self, key: Key) -> Iterator[None]:
        self.locks[key] += 1
        try:
            yield
        finally:
            self.locks[key] -= 1

    async def _unlock(self, key: Key, caller: Caller) -> None:
        try:
            await self.called("unlock", key, caller)
        except RemoteUnavailable:
            self.retained_until[key] = self.clock + RETENTION
            raise

    async def aclose(self) -> None:
        self.closed = True

    # Faults

    async def called(
        self, verb: str, key: Key | None, caller: Caller, file: str | None = None
    ) -> Fault | None:
        """Note a call and let it meet its fault; give one that waits for bytes to pass."""
        self.calls.append((verb, key))
        self.callers.append(caller)
        if file is not None:
            self.files.append(file)
        fault = self._next_fault(verb)
        if fault is None or fault.after:
            return fault
        await meet(fault)
        return None

    def _next_fault(self, verb: str) -> Fault | None:
        for fault in self.faults:
            if fault.verb == verb:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                return fault
        return None


async def meet(fault: Fault) -> None:
    """Wait at the fault's gate, raise its error."""
    if fault.gate is not None:
        await fault.gate.wait()
    if fault.error is not None:
        raise fault.error


class _Faulty(Content):
    """Content that meets a fault after some bytes."""

    def __init__(self, content: Content, fault: Fault) -> None:
        self._content = content
        self._fault = fault
        self.offset = content.offset
        self.size = content.size

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        left = self._fault.after
        met = False
        async for chunk in self._content.stream(skip):
            if not met and len(chunk) >= left:
                if left:
                    yield chunk[:left]
                await meet(self._fault)
                met = True
                chunk = chunk[left:]
            left -= len(chunk)
            if chunk:
                yield chunk

    async def confirm(self) -> bool:
        return await self._content.confirm()


class MemoryUpload(Upload):
    """One upload to a MemoryRemote; keeps what came when it breaks off."""

    def __init__(self, remote: MemoryRemote, key: Key) -> None:
        self._remote = remote
        self._key = key
        self._open = True
        self.offset = len(remote.partial.get(key, b""))

    async def store(self, content: Content) -> StoreResult:
        if not self._open or content.offset != self.offset:
            raise LocalProtocolError("store() on a closed upload, or from another offset")
        remote, key = self._remote, self._key
        fault = await remote.called("store", key, NOBODY)
        source = content if fault is None else _Faulty(content, fault)
        data = bytearray(remote.partial.get(key, b""))
        try:
            async for chunk in source.stream():
                data += chunk
        finally:
            remote.partial[key] = bytes(data)
        vouched = await content.confirm()
        verified = await content.digest.matches() if content.digest else False
        del remote.partial[key]
        if not (verified or self._is_good(bytes(data), vouched)):
            return StoreResult(False, error="Verification of content failed")
        remote.objects[key] = bytes(data)
        return StoreResult(True, remote.stored_in)

    def _is_good(self, data: bytes, vouched: bool) -> bool:
        can_verify = self._key.backend.removesuffix(b"E").decode() in _HASHES
        return is_content_of(self._key, data) and (vouched or can_verify)

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._remote.receiving.discard(self._key)
