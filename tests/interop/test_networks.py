"""Both programs agree what every repository of a random network wants, and why."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shoal.annex.matching import Candidate
from shoal.annex.session import Session
from shoal.annex.wanting import lets_go, wants
from shoal.git.repository import Repository
from shoal.values.uuid import UUID
from tests.support.network import Network
from tests.support.network_strategies import networks
from tests.support.world import World

NETWORKS = int(os.environ.get("SHOAL_NETWORKS", "0"))
"""How many networks to make: others each time. By default a few, always the same."""

_UNSTABLE = ", but that expression is not stable"
_DECIDED = re.compile(r"^(?P<file>.*) (?P<said>(?:matches|does not match) preferred content: .*)$")

thoroughly = settings(
    max_examples=NETWORKS or 50,
    derandomize=not NETWORKS,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def questions(network: Network) -> list[tuple[str, str]]:
    """Give matching options that ask about every repository, whatever the answers are."""
    options = []
    for repo in network.repositories:
        for asked in ("want-get-by", "want-drop-by"):
            options += [("(", ""), (asked, repo), ("or", ""), ("anything", ""), (")", "")]
    return [*options, ("nothing", "")]


def decisions(lines: Iterable[str]) -> list[str]:
    """Give what is said about preferred content, without the file's name, which may be quoted.
    (The real program decides about files that are not annexed, too.)"""
    found = [decided for line in lines if (decided := _DECIDED.match(line)) is not None]
    return [decided["said"] for decided in found if decided["file"] != ".gitattributes"]


def ask_real(world: World, repo: Path, options: Sequence[tuple[str, str]], *more: str) -> list[str]:
    """Give what the real program explains, one line for each decision."""
    words = [_as_word(name, value) for name, value in options]
    done = world.run("git-annex", "whereis", "--explain", *more, *words, cwd=repo, check=False)
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    return decisions(line[2:-2] for line in lines if line.startswith("[ "))


def _as_word(name: str, value: str) -> str:
    if name in "()":
        return f"-{name}"
    return f"--{name}={value}" if value else f"--{name}"


def ask_shoal(
    network: Network, repository: Repository, options: Sequence[tuple[str, str]], rebalance: bool
) -> list[str]:
    """Give what shoal explains; what it decides without explaining must be the same."""
    explained: list[str] = []
    with (
        closing(Session(repository, rebalance=rebalance, explain=explained.append)) as session,
        closing(Session(repository, rebalance=rebalance)) as silent,
    ):
        test = session.matcher(options)
        for name in sorted(network.files, key=os.fsencode):
            candidate = Candidate(network.files[name], name, name)
            begin = len(explained)
            assert not test(candidate)
            told = iter(decisions(explained[begin:]))
            for repo in network.repositories:
                if silent.policy(repo).is_configured:
                    assert wants(silent, repo, candidate) is _is_yes(next(told))
                    assert lets_go(silent, repo, candidate) is not _is_yes(next(told))
    return decisions(explained)


def _is_yes(said: str) -> bool:
    return said.startswith("matches") and _UNSTABLE not in said


def counted_by_real(world: World, repo: Path) -> dict[str, int]:
    """Give the sizes of repositories, dead ones left out."""
    lines = world.annex(repo, "maxsize", "--bytes").splitlines()[1:]
    columns = [line.split(" -- ")[0].split() for line in lines]
    return {words[-1]: int(words[0]) for words in columns}


@thoroughly
@given(networks(), st.booleans())
def test_random_networks(network: Network, rebalance: bool) -> None:
    world = World(Path(tempfile.mkdtemp(dir=os.environ["HOME"])))
    repo = world.root / "repo"
    with closing(network.make(repo)) as repository:
        options = questions(network)
        theirs = ask_real(world, repo, options, *(["--rebalance"] if rebalance else []))
        ours = ask_shoal(network, repository, options, rebalance)
        session = Session(repository)
        asked = [
            (name, uuid, what)
            for name in sorted(network.files, key=os.fsencode)
            for uuid in network.repositories
            if session.policy(uuid).is_configured
            for what in ("get", "drop")
        ]
        assert len(theirs) == len(ours) == len(asked)
        for (name, uuid, what), their, our in zip(asked, theirs, ours, strict=True):
            assert our == their, (
                f"{what} {name} ({network.files[name]}) by {uuid}\n{network.about(uuid)}"
            )
        sizes = repository.sizes.sizes()
        for counted, size in counted_by_real(world, repo).items():
            assert sizes[UUID(counted)] == size, counted
    shutil.rmtree(world.root)
