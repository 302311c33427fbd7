"""A disk that becomes full in the middle of an upload to a cluster of real repositories."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.gateway.served import Served
from shoal.git.repository import Repository
from shoal.remotes.base import StoreResult, Upload
from shoal.remotes.content import WholeContent
from shoal.values.key import Key
from tests.support.gateway import Gateway
from tests.support.loop import in_loop
from tests.support.memory_remote import content_from
from tests.support.quick_cluster import CLUSTER, assert_whole, make_cluster, uuid_of, want_all
from tests.support.raw_http import key_of
from tests.support.world import World

_ROOM = 2 << 20  # bytes of one file that the full disk takes


class FullDisk:
    """Takes the place of os.writev: of all disks the one that is written to first is full as
    soon as a file has `room` bytes."""

    def __init__(self, gateway: Gateway, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._gateway = gateway
        self._room = room
        self._writev = os.writev
        self.node: Path | None = None
        monkeypatch.setattr(os, "writev", self)

    def __call__(self, fd: int, buffers: list[memoryview]) -> int:
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        node = next(node for node in self._gateway.nodes if path.is_relative_to(node))
        self.node = self.node or node
        if node == self.node and os.fstat(fd).st_size + sum(map(len, buffers)) > self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._writev(fd, buffers)


def check_stored(
    gateway: Gateway, disk: FullDisk, content: bytes, result: StoreResult, copies: int
) -> None:
    """The content is in as many nodes as it should be, none of which is full, and all know it."""
    others = [node for node in gateway.nodes if node != disk.node]
    assert disk.node is not None
    assert result.stored
    assert len(result.stored_in) == copies
    assert {*result.stored_in} <= {uuid_of(node.name) for node in others}
    assert_whole(gateway, {key_of(content): content}, copies=copies)


@in_loop
async def test_a_full_node_is_replaced_while_large_content_goes_by(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_cluster(world, 3)
    want_all(gateway, "balanced=nodes:2")
    content = os.urandom(1 << 16) * 128
    disk = FullDisk(gateway, _ROOM, monkeypatch)
    served = Served(Repository.open(gateway.path))
    cluster = await served.remote(CLUSTER)
    upload = await cluster.begin_store(Key.parse(key_of(content).encode()))
    assert isinstance(upload, Upload)
    async with upload:
        result = await upload.store(content_from(content, chunk=1 << 20))
    await served.aclose()
    check_stored(gateway, disk, content, result, 2)


@in_loop
async def test_a_full_node_is_replaced_for_small_content(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_cluster(world, 3)
    want_all(gateway, "balanced=nodes:1")
    content = os.urandom(100_000)
    disk = FullDisk(gateway, 1000, monkeypatch)
    served = Served(Repository.open(gateway.path))
    cluster = await served.remote(CLUSTER)
    result = await cluster.store_whole(Key.parse(key_of(content).encode()), WholeContent(content))
    await served.aclose()
    assert isinstance(result, StoreResult)
    check_stored(gateway, disk, content, result, 1)
