"""A git repository on this machine as a remote, opened directly: no process in between.

It is what a server serves, a cluster's node that is reached by a path, and a client's path
remote. Whatever another git-annex does in the repository at the same time is respected:
locks, partial files, transfer logs and the journal are the real ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from shoal.errors import ContentLocked, KeyNotPresent, RemoteRefused, ShoalError
from shoal.git.clock import monotonic
from shoal.git.transfers import LOGGED_SIZE
from shoal.git.waiting import without_waiting
from shoal.remotes.base import (
    LOCK_SECONDS,
    NOBODY,
    AlreadyPresent,
    Caller,
    LeaveLocked,
    Remote,
    RemoteInfo,
    RemoveResult,
    StoreResult,
    Upload,
)
from shoal.remotes.localcontent import FileContent, read_file_at_once
from shoal.remotes.localdisk import LocalDisk
from shoal.remotes.localhook import ContentHook
from shoal.remotes.locallog import LocalLog
from shoal.remotes.localtrash import Trash
from shoal.remotes.localupload import REMOVED_MEANWHILE, LocalUpload

if TYPE_CHECKING:
    from shoal.git.contentlock import SharedLock
    from shoal.git.objects import ObjectStore
    from shoal.git.receive import Receiving
    from shoal.git.repository import Repository
    from shoal.git.transfers import Transfer
    from shoal.remotes.content import Content, WholeContent
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_TOO_LATE: Final = "removal time has passed"
_Answer = StoreResult | AlreadyPresent | ShoalError


@dataclass(frozen=True, slots=True)
class _Store:
    """What begin_store found in its thread."""

    repository: Repository
    receiving: Receiving
    equivalents: list[Key]


class LocalRemote(Remote):
    """The repository `uuid` at `path`, whenever its disk is there.

    `repository` is given when it is open already. After every change of the location log
    `on_log_change` is called, in a thread: the owner is to have commit() called soon.
    `trash` gives the remote that annex.trashbin names. `content_hook` runs the repository's
    annex-content hook after changes, as git-annex-shell is documented to do. Unless
    `keeps_reserve`, or as an open repository says, content is stored without a look at
    annex.diskreserve.
    `alone`: one client has the event loop to itself, so that work can be done in it.
    """

    def __init__(
        self,
        path: str,
        uuid: UUID,
        *,
        name: str = "",
        cost: float = 100.0,
        read_only: bool = False,
        repository: Repository | None = None,
        on_log_change: Callable[[], None] | None = None,
        trash: Callable[[str], Remote | None] | None = None,
        content_hook: bool = False,
        keeps_reserve: bool = True,
        alone: bool = False,
    ) -> None:
        self._info = RemoteInfo(
            uuid, name or path, cost, read_only=read_only, monotonic_clock_here=True
        )
        self._disk = LocalDisk(
            path, uuid, self._info.name, repository, keeps_reserve=keeps_reserve, alone=alone
        )
        self._hook = ContentHook() if content_hook else None
        self._log = LocalLog(self._disk, uuid, on_log_change, self._hook)
        self._trash = Trash(self._disk, trash)

    @property
    def info(self) -> RemoteInfo:
        return self._info

    # Presence

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        known = self.present_at_once(key)
        return await self._disk.call(partial(self._is_present, key)) if known is None else known

    def present_at_once(self, key: Key, *, caller: Caller = NOBODY) -> bool | None:
        return self._disk.at_once(lambda repository: self._look_at_once(repository.objects, key))

    def _look_at_once(self, objects: ObjectStore, key: Key) -> bool | None:
        if objects.settings.thin:  # it may have to be hashed
            return None
        present = objects.path(key) is not None
        if not present:
            self._disk.still_there()
        return present

    def _is_present(self, key: Key) -> bool:
        present = self._disk.repository().objects.present(key)
        if not present:
            self._disk.still_there()
        return present

    # Retrieving

    def read_at_once(
        self, key: Key, offset: int, most: int, *, caller: Caller = NOBODY
    ) -> bytes | None:
        if offset < 0 or most >= LOGGED_SIZE or (key.size or 0) - offset > most:
            return None

        def read(repository: Repository) -> bytes | None:
            objects = repository.objects
            if objects.settings.thin:
                return None
            for path in objects.candidates(key):
                with suppress(FileNotFoundError, NotADirectoryError):
                    return read_file_at_once(path, offset, most)
            return None

        return self._disk.at_once(read)

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve(key, max(offset, 0), file, caller)

    @asynccontextmanager
    async def _retrieve(
        self, key: Key, offset: int, file: str, caller: Caller
    ) -> AsyncIterator[Content]:
        opened = await self._disk.call(
            partial(self._open, key, offset, file, caller), _close_opened
        )
        content, transfer = opened
        failed = True
        try:
            yield content
            failed = False
        finally:
            content.close()
            if transfer is not None:
                await self._disk.clean_up(partial(transfer.end, failed=failed))

    def _open(
        self, key: Key, offset: int, file: str, caller: Caller
    ) -> tuple[FileContent, Transfer | None]:
        objects = self._disk.repository().objects
        path = objects.content_path(key)
        try:
            content = FileContent(self._disk, path, offset) if path is not None else None
        except FileNotFoundError:  # removed just now
            content = None
        if content is None:
            self._disk.still_there()
            raise KeyNotPresent(self._info.name, str(key))
        large = content.size is not None and content.size >= LOGGED_SIZE
        if not large or caller.uuid is None:
            return content, None
        return content, objects.transfers.begin_upload(key, caller.uuid, file)

    # Storing

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        def begin() -> _Store | AlreadyPresent:
            return self._begin_store(self._disk.repository(), key, file, caller)

        begun = await self._disk.call(begin, _give_up, writing=True)
        if isinstance(begun, AlreadyPresent):
            return begun
        return self._upload(key, begun)

    def _begin_store(
        self, repository: Repository, key: Key, file: str, caller: Caller, *, whole: bool = False
    ) -> _Store | AlreadyPresent:
        """`whole`: the content is all there, so that there is no use in looking for one that
        came just before."""
        from shoal.git.objects import InsecureKey

        objects = repository.objects
        if objects.present(key):
            return AlreadyPresent()
        self._check_writable()
        equivalents = objects.equivalents(key)
        try:
            source = caller.uuid or self._info.uuid
            receiving = objects.receive(key, source, file, briefly=whole)
        except InsecureKey as error:
            raise RemoteRefused(str(error)) from error
        if not whole and objects.present(key):  # somebody finished it just before
            receiving.end(failed=None)
            return AlreadyPresent()
        return _Store(repository, receiving, equivalents)

    async def store_whole(
        self,
        key: Key,
        content: WholeContent,
        *,
        file: str = "",
        caller: Caller = NOBODY,
        agreed: Callable[[], None] = lambda: None,
    ) -> StoreResult | AlreadyPresent:
        def store() -> StoreResult | AlreadyPresent:
            begun = self._begin_store(self._disk.repository(), key, file, caller, whole=True)
            if isinstance(begun, AlreadyPresent):
                return begun
            agreed()
            return self._upload(key, begun).store_whole(content)

        return await self._disk.call_short(store)

    def store_at_once(
        self, key: Key, content: WholeContent, *, file: str = "", caller: Caller = NOBODY
    ) -> _Answer | None:
        if self._hook is not None:
            return None
        return self._disk.at_once(
            lambda repository: self._store_at_once(repository, key, content, file, caller)
        )

    def _store_at_once(
        self, repository: Repository, key: Key, content: WholeContent, file: str, caller: Caller
    ) -> _Answer | None:
        """All locks are taken before anything is done: nothing can be in its way then."""
        if not repository.objects.settings.is_plain:
            return None
        with repository.logs.ready_to_set(key, self._info.uuid):
            with without_waiting():
                begun = self._begin_store(repository, key, file, caller, whole=True)
            if isinstance(begun, AlreadyPresent):
                return begun
            try:
                return self._upload(key, begun).store_whole(content)
            except (OSError, ShoalError) as error:
                return self._disk.answer(error, writing=True)

    def _upload(self, key: Key, begun: _Store) -> LocalUpload:
        record = partial(self._log.came, begun.repository, key)
        return LocalUpload(self._disk, key, begun.receiving, begun.equivalents, record)

    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        return await self._disk.call(partial(self._store_present, key), writing=True)

    def _store_present(self, key: Key) -> StoreResult:
        repository = self._disk.repository()
        if not repository.objects.present(key):
            self._disk.still_there()
            return StoreResult(False, error="the content is not there")
        self._check_writable()
        stored = self._log.came(repository, key)
        return StoreResult(stored, error="" if stored else REMOVED_MEANWHILE)

    # Removing

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        try:
            await self._trash.keep(key, self, caller)
            return await self._disk.call(partial(self._remove, key, before), writing=True)
        except ContentLocked as error:
            return RemoveResult(False, error=str(error))

    def _remove(self, key: Key, before: int | None) -> RemoveResult:
        from shoal.git.objects import ContentAbsent

        repository = self._disk.repository()
        objects = repository.objects
        self._check_writable()
        if not objects.present(key):
            self._disk.still_there()
            self._log.found_absent(repository, key)
            return RemoveResult(True)
        try:
            with objects.lock_removal(key) as lock:
                # Looked at under the lock: from here on nobody else can count this copy.
                if before is not None and int(monotonic()) >= before:
                    return RemoveResult(False, error=_TOO_LATE)
                lock.remove()
                self._log.went(repository, key)
        except ContentAbsent:
            self._disk.still_there()
            self._log.found_absent(repository, key)
        return RemoveResult(True)

    # Time and locks

    async def timestamp(self) -> int:
        return int(monotonic())

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        return self._lock_content(key)

    @asynccontextmanager
    async def _lock_content(self, key: Key) -> AsyncIterator[None]:
        try:
            lock = await self._disk.call(partial(self._lock, key), _release, writing=True)
        except ContentLocked as error:
            raise RemoteRefused(str(error)) from error
        let_go = lock.release
        try:
            yield
        except LeaveLocked:
            let_go = lock.abandon
            raise
        finally:
            await self._disk.clean_up(let_go)

    def _lock(self, key: Key) -> SharedLock:
        from shoal.git.objects import ContentAbsent

        objects = self._disk.repository().objects
        try:
            return objects.lock_shared(key, LOCK_SECONDS)
        except ContentAbsent as error:
            self._disk.still_there()
            raise RemoteRefused(str(error)) from error

    async def commit(self) -> None:
        """Commit the journal to the git-annex branch. Nothing happens when it is empty."""
        await self._disk.call(lambda: self._disk.repository().branch.commit(), writing=True)

    def _check_writable(self) -> None:
        if self._info.read_only:
            raise RemoteRefused("this repository is read-only; write access denied")

    async def aclose(self) -> None:
        await self._disk.aclose()
        if self._hook is not None:
            self._hook.wait()


def _close_opened(opened: tuple[FileContent, Transfer | None]) -> None:
    content, transfer = opened
    content.close()
    if transfer is not None:
        transfer.end(failed=True)


def _give_up(begun: _Store | AlreadyPresent) -> None:
    if isinstance(begun, _Store):
        begun.receiving.end(failed=None)


def _release(lock: SharedLock) -> None:
    lock.release()
