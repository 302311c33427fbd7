"""Every command does and says what git-annex does and says, in the same repositories."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.twins import Command, Outcome, Twins
from tests.support.world import World, isolated_environment

_CLOCK = "1600000000"
_SCRIPTS = Path(__file__).parent / "side_by_side"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`here` with remotes `origin`, `b` (bare) and `plain` (no git-annex), and `far`, which is
    only heard of. Files: f1 (here, origin), d/f2 (origin), `sp ace.txt` (here), u.dat
    (unlocked; here, b), all.txt (all but far), gone.txt (nowhere), and plain.git."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        for name, value in isolated_environment(home).items():
            patch.setenv(name, value)
        patch.setenv("GIT_ANNEX_VECTOR_CLOCK", _CLOCK)
        return _make(World(tmp_path_factory.mktemp("template")))


def _make(world: World) -> Path:
    origin = world.make("origin")
    contents = {
        "f1": b"one\n", "d/f2": b"two" * 2000, "sp ace.txt": b"x", "all.txt": b"all of them\n",
        "gone.txt": b"gone", "far.txt": b"far away",
    }  # fmt: skip
    for name, content in contents.items():
        world.add(origin, name, content)
    (origin / "plain.git").write_text("not annexed\n")
    world.git(origin, "add", "plain.git")
    world.git(origin, "commit", "-qm", "plain")
    world.run("git", "clone", "-q", "--bare", "origin", "b")
    world.run("git", "clone", "-q", "origin", "far")
    world.run("git", "clone", "-q", "origin", "here")
    here, b, far = world.root / "here", world.root / "b", world.root / "far"
    world.annex(b, "init", "bare one")
    world.annex(far, "init", "far")
    world.annex(here, "init", "my here")
    world.run("git", "init", "-q", "plain")
    for repository in (here, far, b):
        world.git(repository, "config", "remote.origin.url", "../origin")
    world.git(here, "remote", "add", "b", "../b")
    world.git(here, "remote", "add", "plain", "../plain")
    world.annex(far, "get", "-q", "far.txt", "all.txt")
    world.annex(far, "drop", "-q", "--force", "all.txt")
    world.annex(here, "get", "-q", "f1", "sp ace.txt", "all.txt")
    world.git(here, "config", "annex.addunlocked", "true")
    world.add(here, "u.dat", b"unlocked content\n" * 10)
    world.git(here, "config", "--unset", "annex.addunlocked")
    world.annex(here, "copy", "-q", "--to", "b", "u.dat", "all.txt")
    world.annex(origin, "drop", "-q", "--force", "sp ace.txt", "gone.txt", "far.txt")
    for repository, remotes in ((here, ["origin", "b"]), (origin, []), (b, ["origin"])):
        for remote in remotes:
            world.git(repository, "fetch", "-q", remote)
        world.git(repository, "fetch", "-q", "../far", "git-annex:refs/remotes/far/git-annex")
        world.annex(repository, "merge", "-q")
    world.annex(here, "group", "b", "backup", "-q")
    world.annex(here, "wanted", "b", "include=*.txt")
    world.annex(here, "maxsize", "b", "1mb")
    return world.root


@pytest.fixture
def twins(template: Path, tmp_path: Path) -> Twins:
    known = set()
    for path in template.rglob("config"):
        known |= set(re.findall(r"uuid = (\S+)", path.read_text(errors="replace")))
    known |= {f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2)}
    return Twins(template, tmp_path / "place", known)


def compare(twins: Twins, commands: Sequence[str | Command], cwd: str = "here") -> None:
    """Run all commands with both programs; what differs is shown as a diff."""
    parsed = [c if isinstance(c, Command) else Command(_split(c)) for c in commands]
    real, real_state = twins.run("git-annex", parsed, cwd)
    ours, our_state = twins.run("shoal", parsed, cwd)
    _assert_equal(_lines(parsed, real), _lines(parsed, ours))
    _assert_equal(
        *(
            [twins.normalised(f"{name} = {value}") for name, value in sorted(state.items())]
            for state in (real_state, our_state)
        )
    )


def _assert_equal(real: list[str], ours: list[str]) -> None:
    diff = difflib.unified_diff(real, ours, "git-annex", "shoal", lineterm="")
    assert real == ours, "\n" + "\n".join(diff)


def _split(text: str) -> tuple[str, ...]:
    return ("!", text[1:]) if text.startswith("!") else tuple(shlex.split(text))


def _lines(commands: list[Command], outcomes: list[Outcome]) -> list[str]:
    lines: list[str] = []
    for command, outcome in zip(commands, outcomes, strict=True):
        lines.append(f"$ {shlex.join(command.words)}")
        lines += [f"out| {line}" for line in outcome.stdout.split("\n")]
        lines += [f"err| {line}" for line in outcome.stderr.split("\n")]
        lines.append(f"exit {outcome.status}")
    return lines


SCRIPTS = sorted(path.stem for path in _SCRIPTS.glob("*.txt"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(twins: Twins, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the commands of a file, one a line. `!` is for sh, `@` names where to begin."""
    monkeypatch.setenv("EDITOR", "sh ../editor")  # which a script may write
    lines = (_SCRIPTS / f"{name}.txt").read_text().splitlines()
    cwd = lines.pop(0)[1:].strip() if lines[0].startswith("@") else "here"
    compare(twins, lines, cwd)


KEY = "SHA256E-s1--2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881.txt"
BATCHES: dict[str, tuple[str, str]] = {
    "find": ("find --batch", "f1\nnosuch\nd/f2\nd\nsp ace.txt\n"),
    "find as JSON": ("find --batch --json", "f1\nnosuch\n"),
    "find with nulls": ("find --batch -z", "f1\0sp ace.txt\0nosuch\0"),
    "whereis": ("whereis --batch", "f1\nnosuch\ngone.txt\n"),
    "whereis as JSON": ("whereis --batch --json", "f1\nnosuch\nd/f2\n"),
    "whereis of keys": ("whereis --batch-keys", f"{KEY}\nSHA256-s1--x\n"),
    "whereis of no key": ("whereis --batch-keys", "foo\n"),
    "get": ("get --batch", "f1\nd/f2\nnosuch\ngone.txt\n"),
    "get as JSON": ("get --batch --json", "f1\nd/f2\nnosuch\n"),
    "drop as JSON": ("drop --batch --json", "f1\nnosuch\nsp ace.txt\n"),
    "copy": ("copy --to b --batch", "f1\nd/f2\nall.txt\n"),
    "lookupkey": ("lookupkey --batch", "f1\nnosuch\nd/f2\n"),
    "lookupkey with nulls": ("lookupkey --batch -z", "f1\0nosuch\0"),
    "examinekey": ("examinekey --batch --json", f"{KEY}\nSHA256-s1--x some file\n"),
    "examinekey of no key": ("examinekey --batch", f"{KEY}\nfoo\n{KEY}\n"),
    "contentlocation": ("contentlocation --batch", f"{KEY}\nSHA256-s1--x\n"),
    "checkpresentkey": ("checkpresentkey --batch b", f"{KEY}\nSHA256-s1--x\n"),
    "setpresentkey": ("setpresentkey --batch", f"{KEY} u 1\n{KEY} v 0\n"),
    "setpresentkey of nonsense": ("setpresentkey --batch", f"{KEY} u 1\nfoo\n"),
    "metadata": (
        "metadata --batch --json",
        '{"file":"f1","fields":{"a":["1","b c"],"tag":["t"]}}\n{"file":"nosuch"}\n{"file":"f1"}\n'
        f'{{"key":"{KEY}","fields":{{"a":["x"]}}}}\n{{"file":"f1","fields":{{"A":[]}}}}\n',
    ),
    "metadata of nothing": ("metadata --batch --json", '{"fields":{}}\n'),
    "calckey": ("calckey --batch", "f1\nnosuch\n"),
    "add": ("add --batch --json", "nosuch\nf1\n"),
    "both": ("get --batch f1", ""),
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches(twins: Twins, name: str) -> None:
    words, data = BATCHES[name]
    compare(twins, [Command(tuple(shlex.split(words)), data)])
