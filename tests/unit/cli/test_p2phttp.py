"""What `shoal p2phttp` makes of its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.cli.main import main
from shoal.git.repository import Repository
from shoal.remotes.p2ppool import KEPT, kept_of
from shoal.server.run import ServerOptions
from tests.support.annexrepo import make_annex
from tests.support.world import World


@pytest.mark.parametrize(
    ("options", "kept"), [([], KEPT), (["--proxyconnections=3"], 3), (["--proxyconnections=0"], 0)]
)
def test_how_many_idle_connections_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, options: list[str], kept: int
) -> None:
    path: Path = world.root / "r"
    make_annex(path).close()
    monkeypatch.chdir(path)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")  # and undo what the command sets
    for name in ("KEY", "VALUE"):
        monkeypatch.setenv(f"GIT_CONFIG_{name}_0", "")
    found: list[int] = []

    def serve(options: ServerOptions, *rest: object) -> None:
        with Repository.open(path) as repository:
            found.append(kept_of(repository.config))

    monkeypatch.setattr("shoal.server.run.serve", serve)
    assert main(["p2phttp", "--wideopen", "-J2", *options]) == 0
    assert found == [kept]
