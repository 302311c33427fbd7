"""A node's disk fails in the middle of a download: the client gets the rest from another."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

from tests.support.gateway import Gateway, make_gateway, objects_of, served
from tests.support.raw_http import RawClient, key_of
from tests.support.world import World

SIZE = 60_000_000  # bytes; more than the sockets' buffers take


def file_being_sent(gateway: Gateway, key: str) -> Path:
    """Give the object file that the server has open."""
    assert gateway.process is not None
    for link in Path(f"/proc/{gateway.process.pid}/fd").iterdir():
        target = Path(os.readlink(link))
        if target.name == key:
            return target
    raise AssertionError("the server has no object file open")


def test_a_file_that_is_cut_off_while_it_is_sent(world: World) -> None:
    content = random.Random(3).randbytes(SIZE)
    key = key_of(content)
    with served(make_gateway(world, nodes=2)) as gateway:
        client = RawClient(gateway.port, gateway.cluster)
        assert client.put(key, content).json()["stored"] is True
        request = f"GET {client.url(f'key/{key}')} HTTP/1.1\r\nHost: x\r\n\r\n"
        connection = client.start(request.encode())
        got = bytearray(connection.recv(100_000))
        head, _, body = bytes(got).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        broken = file_being_sent(gateway, key)
        broken.chmod(0o644)
        os.truncate(broken, SIZE // 2)
        digest = hashlib.sha256(body)
        left = SIZE - len(body)
        while left:
            piece = connection.recv(1 << 20)
            assert piece, f"the connection was closed with {left} bytes to come"
            digest.update(piece)
            left -= len(piece)
        connection.close()
        assert digest.hexdigest() == hashlib.sha256(content).hexdigest()
        assert sum(len(objects_of(node, key)) for node in gateway.nodes) == 2


def test_no_node_can_send_the_rest(world: World) -> None:
    content = random.Random(4).randbytes(SIZE)
    key = key_of(content)
    with served(make_gateway(world, nodes=2)) as gateway:
        client = RawClient(gateway.port, gateway.cluster)
        assert client.put(key, content).json()["stored"] is True
        connection = client.start(
            f"GET {client.url(f'key/{key}')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        got = len(connection.recv(100_000))
        for node in gateway.nodes:
            for path in objects_of(node, key):
                path.chmod(0o644)
                os.truncate(path, SIZE // 2)
        while piece := connection.recv(1 << 20):
            got += len(piece)
        connection.close()
        assert got < SIZE
