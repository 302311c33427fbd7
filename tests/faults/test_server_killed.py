"""kill -9 of a gateway's server at random moments of uploads, then a restart."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, left_behind, make_gateway, objects_of, served
from tests.support.raw_http import RawClient, key_of
from tests.support.world import World


def assert_truthful(gateway: Gateway, contents: dict[str, bytes]) -> None:
    """Every object in view is whole, and nothing is logged that a node does not have."""
    for key, content in contents.items():
        logged = gateway.world.run(
            "git-annex", "whereis", f"--key={key}", cwd=gateway.path, check=False
        ).stdout
        for node in gateway.nodes:
            objects = objects_of(node, key)
            assert all(path.read_bytes() == content for path in objects)
            if f"[{node.name}]" in logged:
                assert objects


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments_of_a_hundred_uploads(world: World, seed: int) -> None:
    dice = random.Random(seed)
    gateway = make_gateway(world, nodes=2)
    client = RawClient(gateway.port, gateway.cluster)
    contents: dict[str, bytes] = {}
    with served(gateway):
        for _ in range(50):
            batch = [dice.randbytes(dice.choice([1, 5_000, 300_000])) for _ in range(2)]
            contents |= {key_of(content): content for content in batch}
            if dice.random() < 0.4:
                requests = [client.put_request(key_of(content), content) for content in batch]
                cuts = [request[: dice.randrange(1, len(request) + 1)] for request in requests]
                open_ones = [client.start(cut) for cut in cuts]
                gateway.stop(signal.SIGKILL)
                for connection in open_ones:
                    connection.close()
                assert_truthful(gateway, {key_of(content): content for content in batch})
                gateway.start()
            for content in batch:
                answer = client.put(key_of(content), content)
                assert answer.json()["stored"] is True, answer
        for key, content in contents.items():
            assert client.get(key).body == content
    assert_truthful(gateway, contents)
    for repo in (gateway.path, *gateway.nodes):
        assert [name for name in left_behind(repo) if "journal" in name] == []
        assert (Path(repo) / ".git").is_dir()
    for node in gateway.nodes:
        world.annex(node, "fsck", "--all", "--quiet")
