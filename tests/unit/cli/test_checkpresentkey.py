"""checkpresentkey: where it is not known whether a key is there, the reason is said."""

from __future__ import annotations

from tests.support.gateway import free_port
from tests.support.world import World

KEY = "SHA256E-s1--x"
UUID_THERE = "11111111-1111-4111-8111-111111111111"


def test_a_server_that_is_not_there(world: World) -> None:
    here = world.root / "here"
    world.run("git", "init", "-q", here)
    world.run("shoal", "init", cwd=here)
    port = free_port()
    for name, value in {
        "url": "ssh://nowhere/repo",
        "annexUrl": f"annex+http://127.0.0.1:{port}/git-annex/",
        "annex-uuid": UUID_THERE,
    }.items():
        world.git(here, "config", f"remote.there.{name}", value)
    done = world.run("shoal", "checkpresentkey", KEY, "there", cwd=here, check=False)
    assert done.returncode == 100
    assert f"cannot connect to 127.0.0.1 port {port}: Connection refused" in done.stderr
