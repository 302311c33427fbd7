"""Content whose size nobody knows before its end."""

from __future__ import annotations

import errno
import os

import pytest

from shoal.errors import NotEnoughSpace, RemoteUnavailable
from shoal.remotes.spool import with_size
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote, content_from, gather

DATA = b"0123456789" * 100


@in_loop
async def test_known_sizes_cost_nothing() -> None:
    content = content_from(DATA)
    async with with_size(content, None) as (sized, size):
        assert (sized, size) == (content, len(DATA))
    content = content_from(DATA, size=None)
    async with with_size(content, 7) as (sized, size):
        assert (sized, size) == (content, 7)


@in_loop
async def test_other_content_is_read_first() -> None:
    content = content_from(DATA, offset=10, size=None, valid=False)
    async with with_size(content, None) as (sized, size):
        assert (size, sized.size, sized.offset) == (len(DATA) - 10, len(DATA) - 10, 10)
        assert await gather(sized) == DATA[10:]
        assert b"".join([bytes(chunk) async for chunk in sized.stream(5)]) == DATA[15:]
        assert not await sized.confirm()


@in_loop
async def test_a_source_that_breaks_off_is_told_at_once() -> None:
    remote = MemoryRemote()
    key = remote.put(DATA)
    remote.fail("retrieve", after=20)
    async with remote.retrieve(key) as content:
        content.size = None
        with pytest.raises(RemoteUnavailable):
            await with_size(content, None).__aenter__()


@in_loop
async def test_it_leaves_on_disk_what_is_to_stay_free() -> None:
    content = content_from(DATA, size=None)
    with pytest.raises(NotEnoughSpace, match="whose size is not known"):
        await with_size(content, None, lambda: 1 << 60).__aenter__()
    content = content_from(DATA, size=None)
    async with with_size(content, None, lambda: None) as (_, size):
        assert size == len(DATA)


@in_loop
async def test_a_disk_that_is_full_is_no_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("shoal.git.diskreserve.free_bytes", full)
    with pytest.raises(NotEnoughSpace):
        await with_size(content_from(DATA, size=None), None).__aenter__()
