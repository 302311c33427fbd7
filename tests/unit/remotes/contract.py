"""What every Remote must do: subclass RemoteContract and say how to open an empty one.

class TestMyRemote(RemoteContract):
    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        ...
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from shoal.errors import KeyNotPresent, RemoteRefused, RemoteUnavailable, TransferInProgress
from shoal.remotes.base import AlreadyPresent, Caller, Remote, StoreResult, Upload
from shoal.remotes.content import AT_ONCE, Chunk, Content, StreamContent, WholeContent
from shoal.values.key import Key
from tests.support.annexrepo import THERE, key_of
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from, gather

SMALL = b"hello world\n"
LARGE = bytes(range(256)) * 12_345  # 3 MB, not a whole number of chunks
CALLER = Caller(THERE)


async def begin(remote: Remote, key: Key) -> Upload:
    """Begin to store a key that is not there."""
    upload = await remote.begin_store(key, file="a file", caller=CALLER)
    assert isinstance(upload, Upload)
    return upload


async def put(remote: Remote, data: bytes, key: Key | None = None) -> Key:
    """Store `data`, which must work; give its key."""
    key = key or key_of(data)
    async with await begin(remote, key) as upload:
        content = content_from(data, offset=upload.offset, chunk=100_000)
        assert (await upload.store(content)).stored
    return key


async def read(remote: Remote, key: Key, offset: int = 0) -> bytes:
    """Retrieve a key from `offset` on."""
    async with remote.retrieve(key, offset, file="a file", caller=CALLER) as content:
        assert content.offset == offset or content.size == 0
        data = await gather(content)
        assert content.size in {None, len(data)}
        assert await content.confirm()
    return data


def broken(data: bytes, offset: int, after: int) -> Content:
    """Content whose source goes away after some bytes."""

    async def chunks() -> AsyncIterator[Chunk]:
        yield data[offset : offset + after]
        raise RemoteUnavailable("source", "went away")

    return StreamContent(chunks(), size=len(data) - offset, offset=offset)


class RemoteContract:
    """The tests. Each opens a remote that holds nothing."""

    can_lock = True
    can_resume = True

    @abstractmethod
    def opened(self, directory: Path) -> AbstractAsyncContextManager[Remote]:
        """Open an empty remote in `directory`, which is for it alone."""

    @pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
    @in_loop
    async def test_what_is_stored_can_be_retrieved(self, tmp_path: Path, data: bytes) -> None:
        async with self.opened(tmp_path) as remote:
            key = key_of(data)
            assert not await remote.check_present(key, caller=CALLER)
            assert await put(remote, data) == key
            assert await remote.check_present(key, caller=CALLER)
            assert await read(remote, key) == data

    @pytest.mark.parametrize("offset", [1, 1 << 20, len(LARGE) - 1, len(LARGE), len(LARGE) + 5])
    @in_loop
    async def test_content_is_given_from_any_offset(self, tmp_path: Path, offset: int) -> None:
        async with self.opened(tmp_path) as remote:
            key = await put(remote, LARGE)
            assert await read(remote, key, offset) == LARGE[offset:]

    @pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
    @in_loop
    async def test_what_is_known_at_once_is_true(self, tmp_path: Path, data: bytes) -> None:
        async with self.opened(tmp_path) as remote:
            absent = key_of(b"absent")
            assert remote.present_at_once(absent, caller=CALLER) in {None, False}
            key = await put(remote, data)
            assert remote.present_at_once(key, caller=CALLER) in {None, True}
            assert remote.read_at_once(absent, 0, AT_ONCE, caller=CALLER) is None
            for offset in (0, 1, len(data), len(data) + 5):
                found = remote.read_at_once(key, offset, AT_ONCE, caller=CALLER)
                assert found in {None, data[offset:]}
                assert len(data) - offset <= AT_ONCE or found is None

    @in_loop
    async def test_the_start_of_content_can_be_skipped(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            for data in (SMALL, LARGE):
                key = await put(remote, data)
                for skip in (0, 1, 5, len(data) - 1, len(data)):
                    async with remote.retrieve(key, 0, caller=CALLER) as content:
                        found = b"".join([bytes(chunk) async for chunk in content.stream(skip)])
                    assert found == data[skip:]

    @in_loop
    async def test_what_is_absent_is_not_retrieved(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            with pytest.raises(KeyNotPresent):
                async with remote.retrieve(key_of(SMALL), caller=CALLER):
                    pass

    @in_loop
    async def test_what_is_there_need_not_be_sent(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = await put(remote, SMALL)
            again = await remote.begin_store(key, caller=CALLER)
            assert again == AlreadyPresent()

    @in_loop
    async def test_wrong_content_is_refused(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = key_of(SMALL)
            for wrong in (b"HELLO world\n", SMALL[:-1], SMALL + b"x", b""):
                async with await begin(remote, key) as upload:
                    result = await upload.store(content_from(wrong, offset=upload.offset))
                assert not result.stored
                assert not await remote.check_present(key, caller=CALLER)
            await put(remote, SMALL)

    @pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
    @in_loop
    async def test_a_whole_content_is_stored_in_one_call(self, tmp_path: Path, data: bytes) -> None:
        async with self.opened(tmp_path) as remote:
            key = key_of(data)
            agreed: list[bool] = []
            stored = await remote.store_whole(
                key,
                WholeContent(data),
                file="a file",
                caller=CALLER,
                agreed=lambda: agreed.append(True),
            )
            assert stored == StoreResult(True)
            assert agreed == [True]
            assert await read(remote, key) == data
            again = await remote.store_whole(key, WholeContent(data), caller=CALLER)
            assert again in (AlreadyPresent(), StoreResult(True))

    @in_loop
    async def test_a_wrong_whole_content_is_refused(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = key_of(SMALL)
            for wrong in (b"HELLO world\n", SMALL[:-1], SMALL + b"x", b""):
                result = await remote.store_whole(key, WholeContent(wrong), caller=CALLER)
                assert isinstance(result, StoreResult)
                assert not result.stored
                assert not await remote.check_present(key, caller=CALLER)
            await put(remote, SMALL)

    @pytest.mark.parametrize("first", [LARGE[:1], b"X"], ids=["right", "wrong"])
    @in_loop
    async def test_a_whole_content_completes_what_broke_off(
        self, tmp_path: Path, first: bytes
    ) -> None:
        """A part that is wrong may be found out only at the end; then the next attempt works."""
        async with self.opened(tmp_path) as remote:
            key = key_of(LARGE)
            with pytest.raises(RemoteUnavailable):
                async with await begin(remote, key) as upload:
                    await upload.store(broken(first + LARGE[1:], 0, 1_500_000))
            result = await remote.store_whole(key, WholeContent(LARGE), caller=CALLER)
            assert isinstance(result, StoreResult)
            assert result.stored or first == b"X"
            if not result.stored:
                assert not await remote.check_present(key, caller=CALLER)
                again = await remote.store_whole(key, WholeContent(LARGE), caller=CALLER)
                assert again == StoreResult(True)
            assert await read(remote, key) == LARGE

    @in_loop
    async def test_whole_contents_at_the_same_time(self, tmp_path: Path) -> None:
        """Of one key and of others."""
        async with self.opened(tmp_path) as remote:

            async def store(data: bytes) -> bool:
                try:
                    result = await remote.store_whole(
                        key_of(data), WholeContent(data), caller=CALLER
                    )
                except TransferInProgress:
                    return False
                return isinstance(result, StoreResult) and result.stored

            contents = [b"%d" % number * 1000 for number in range(10)]
            stored = await asyncio.gather(*map(store, contents * 3))
            assert all(any(stored[number::10]) for number in range(10))
            assert await asyncio.gather(*[read(remote, key_of(c)) for c in contents]) == contents

    @in_loop
    async def test_content_that_changed_is_verified(self, tmp_path: Path) -> None:
        """The sender does not vouch for it, but it is right; or there is no way to tell."""
        async with self.opened(tmp_path) as remote:
            async with await begin(remote, key_of(SMALL)) as upload:
                assert (await upload.store(content_from(SMALL, valid=False))).stored
            worm = Key.parse(b"WORM-s12-m1300000000--name")
            async with await begin(remote, worm) as upload:
                result = await upload.store(content_from(SMALL, valid=False))
            assert not result.stored
            assert not await remote.check_present(worm, caller=CALLER)
            await put(remote, SMALL, worm)

    @in_loop
    async def test_a_broken_upload_stores_nothing(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = key_of(LARGE)
            with pytest.raises(RemoteUnavailable):
                async with await begin(remote, key) as upload:
                    await upload.store(broken(LARGE, 0, 1_500_000))
            assert not await remote.check_present(key, caller=CALLER)
            async with await begin(remote, key) as upload:
                assert upload.offset == (1_500_000 if self.can_resume else 0)
                rest = content_from(LARGE, offset=upload.offset, chunk=300_000)
                assert (await upload.store(rest)).stored
            assert await read(remote, key) == LARGE

    @in_loop
    async def test_a_resumed_upload_is_verified_as_a_whole(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = key_of(LARGE)
            wrong = b"X" + LARGE[1:]
            with pytest.raises(RemoteUnavailable):
                async with await begin(remote, key) as upload:
                    await upload.store(broken(wrong, 0, 2_000_000))
            if self.can_resume:
                async with await begin(remote, key) as upload:
                    assert upload.offset == 2_000_000
                    rest = content_from(LARGE, offset=upload.offset, chunk=300_000)
                    assert not (await upload.store(rest)).stored
                assert not await remote.check_present(key, caller=CALLER)
            await put(remote, LARGE)
            assert await read(remote, key) == LARGE

    @in_loop
    async def test_an_upload_can_be_given_up(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = key_of(SMALL)
            for _ in range(3):
                async with await begin(remote, key) as upload:
                    assert upload.offset == 0
            await put(remote, SMALL)

    @in_loop
    async def test_a_cancelled_upload_leaves_no_lock(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = key_of(LARGE)
            started = asyncio.Event()

            async def endless() -> AsyncIterator[Chunk]:
                yield LARGE[:2_000_000]
                started.set()
                await asyncio.Event().wait()

            async def store() -> None:
                async with await begin(remote, key) as upload:
                    await upload.store(StreamContent(endless(), size=len(LARGE)))

            task = asyncio.create_task(store())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not await remote.check_present(key, caller=CALLER)
            await put(remote, LARGE)

    @in_loop
    async def test_one_upload_of_a_key_at_a_time(self, tmp_path: Path) -> None:
        """Or each of them works; but never is there anything but the content."""
        async with self.opened(tmp_path) as remote:
            key = key_of(LARGE)

            async def store() -> bool:
                try:
                    upload = await remote.begin_store(key, caller=CALLER)
                except TransferInProgress:
                    return False
                if isinstance(upload, AlreadyPresent):
                    return True
                async with upload:
                    content = content_from(LARGE, offset=upload.offset, chunk=200_000)
                    return (await upload.store(content)).stored

            outcomes = await asyncio.gather(*[store() for _ in range(8)])
            assert any(outcomes)
            assert await read(remote, key) == LARGE

    @in_loop
    async def test_different_keys_at_the_same_time(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            contents = [b"%d" % number * 1000 for number in range(20)]
            keys = await asyncio.gather(*[put(remote, data) for data in contents])
            assert await asyncio.gather(*[read(remote, key) for key in keys]) == contents

    @in_loop
    async def test_what_was_sent_another_way_is_checked(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            absent = await remote.store_present(key_of(SMALL), caller=CALLER)
            assert not absent.stored
            key = await put(remote, SMALL)
            assert await remote.store_present(key, caller=CALLER) == StoreResult(True)

    @in_loop
    async def test_what_is_removed_is_gone(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = await put(remote, SMALL)
            assert (await remote.remove(key, caller=CALLER)).removed
            assert not await remote.check_present(key, caller=CALLER)
            assert (await remote.remove(key, caller=CALLER)).removed

    @in_loop
    async def test_a_removal_has_a_time_limit(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = await put(remote, SMALL)
            now = await remote.timestamp()
            late = await remote.remove(key, before=now, caller=CALLER)
            assert not late.removed
            assert await remote.check_present(key, caller=CALLER)
            assert (await remote.remove(key, before=now + 1000, caller=CALLER)).removed
            assert (await remote.remove(key, before=0, caller=CALLER)).removed

    @in_loop
    async def test_a_lock_keeps_content(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = await put(remote, SMALL)
            if not self.can_lock:
                with pytest.raises(RemoteRefused):
                    async with remote.lock_content(key, caller=CALLER):
                        pass
                return
            async with remote.lock_content(key, caller=CALLER):
                async with remote.lock_content(key, caller=CALLER):
                    pass
                assert not (await remote.remove(key, caller=CALLER)).removed
                assert await read(remote, key) == SMALL
            assert (await remote.remove(key, caller=CALLER)).removed

    @in_loop
    async def test_what_is_absent_is_not_locked(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            with pytest.raises(RemoteRefused):
                async with remote.lock_content(key_of(SMALL), caller=CALLER):
                    pass
            await put(remote, SMALL)

    @in_loop
    async def test_a_download_can_be_left_early(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as remote:
            key = await put(remote, LARGE)
            for _ in range(3):
                async with remote.retrieve(key, caller=CALLER) as content:
                    async for chunk in content.stream():
                        assert LARGE.startswith(bytes(chunk))
                        break
            assert (await remote.remove(key, caller=CALLER)).removed
