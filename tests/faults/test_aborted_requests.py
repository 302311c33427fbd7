"""Clients that go away in the middle, a thousand times: nothing hangs and nothing is left."""

from __future__ import annotations

import random
import socket
import struct

import pytest

from tests.support.gateway import left_behind, make_gateway, served
from tests.support.raw_http import RawClient, key_of
from tests.support.wait import wait_until
from tests.support.world import World


def go_away(connection: socket.socket, *, rudely: bool) -> None:
    """Close a connection; rudely means with a reset."""
    if rudely:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
def test_a_thousand_aborted_uploads_and_downloads(world: World, rudely: bool) -> None:
    dice = random.Random(7)
    content = dice.randbytes(2_000_000)
    key = key_of(content)
    with served(make_gateway(world, nodes=2)) as gateway:
        client = RawClient(gateway.port, gateway.cluster)
        assert client.put(key, content).json()["stored"] is True
        assert client.get(key).body == content
        before = gateway.descriptors()
        for number in range(500):
            other = dice.randbytes(200_000)
            request = client.put_request(key_of(other), other)
            upload = client.start(request[: dice.randrange(1, len(request))])
            get = f"GET {client.url(f'key/{key}')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            download = client.start(get[: len(get) if number % 4 else dice.randrange(len(get))])
            if number % 4:
                download.recv(dice.choice([1, 100_000]))
            go_away(upload, rudely=rudely)
            go_away(download, rudely=rudely)
        assert client.get(key).body == content
        fresh = dice.randbytes(100_000)
        assert client.put(key_of(fresh), fresh).json()["stored"] is True
        wait_until(lambda: gateway.descriptors() <= before + 8)
    for repo in (gateway.path, *gateway.nodes):
        assert left_behind(repo) == []
