"""Keys and logs side by side with the real program, on input that no vector has."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.logs import location, maxsize, metadata, preferred, trust
from shoal.logs.trust import TrustLevel
from shoal.values.backend import BACKENDS, hash_name, hasher, key_for
from shoal.values.clock import parse_clock
from shoal.values.humansize import rough_size
from shoal.values.key import Key
from shoal.values.keypath import hash_dir_lower, hash_dir_mixed, key_file
from shoal.values.uuid import UUID
from tests.support.world import World

_KEY = Key.parse(b"MD5-s0--d41d8cd98f00b204e9800998ecf8427e")
_REPOS = [f"{n}0000000-0000-4000-8000-00000000000{n}" for n in range(1, 5)]
_NOW = parse_clock(b"100s")
_CLOCKS = ["5s", "5", "05.50s", "-3s", "7.123456789012345s", "100s", "100.5s", "1e3s", "x", "9s "]


@pytest.mark.parametrize("size", [513, 100_003])
def test_contents_of_any_length_have_the_same_keys(world: World, size: int) -> None:
    repo = world.make("repo")
    content = random.Random(size).randbytes(size)
    (repo / "file").write_bytes(content)
    for backend in BACKENDS:
        if hash_name(backend) is None or backend.endswith(b"E"):
            continue
        checksum = hasher(backend)
        for at in range(0, size, 4099):
            checksum.update(content[at : at + 4099])
        theirs = world.annex(repo, "calckey", f"--backend={backend.decode()}", "file").strip()
        assert str(key_for(backend, checksum.hexdigest(), size)) == theirs


def test_made_up_keys_lie_in_the_same_places(world: World) -> None:
    repo = world.make("repo")
    dice = random.Random(1)
    alphabet = "abcXYZ019.-_/%&:+,=?é日"
    keys = []
    for _ in range(300):
        name = "".join(dice.choices(alphabet, k=dice.randrange(1, 40)))
        fields = [dice.choice([None, dice.randrange(10 ** dice.randrange(1, 20))]) for _ in "smSC"]
        keys.append(Key(dice.choice([b"SHA256", b"WORM", b"URL", b"FOO"]), name.encode(), *fields))
    form = "${key}\\t${hashdirlower}\\t${hashdirmixed}\\t${objectpath}\\t${humansize}\\n"
    batch = b"".join(bytes(key) + b"\n" for key in keys)
    done = world.run("git-annex", "examinekey", "--batch", f"--format={form}", cwd=repo, data=batch)
    for key, line in zip(keys, done.stdout.splitlines(), strict=True):
        text, lower, mixed, path, size = line.split("\t")
        assert (str(key), hash_dir_lower(key), hash_dir_mixed(key)) == (text, lower, mixed)
        assert path.endswith(f"/{mixed}{key_file(key)}/{key_file(key)}")
        assert size == ("unknown" if key.size is None else rough_size(key.size))


class _TwoWriters:
    """Puts the same log before both programs and compares what they make of it."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.repo = world.make("repo")
        world.git(self.repo, "config", "annex.alwayscommit", "false")
        self.journal = self.repo / ".git/annex/journal"
        known = "".join(f"{uuid} name timestamp=1s\n" for uuid in _REPOS)
        (self.journal / "uuid.log").write_text(known)
        monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "100s")

    def compare(
        self, path: str, log: bytes, change: Callable[[bytes], bytes | None], *command: str
    ) -> None:
        file = self.journal / path.replace("_", "__").replace("/", "_")
        file.write_bytes(log)
        self.world.annex(self.repo, *command)
        ours = change(log)
        assert file.read_bytes() == (log if ours is None else ours), (log, command)


def _log(dice: random.Random, line: Callable[[], str]) -> bytes:
    lines = [line() if dice.random() < 0.9 else "junk" for _ in range(dice.randrange(6))]
    return "".join(text + dice.choice(["\n", "\n", "\r\n"]) for text in lines).encode()


def _try_location_log(writers: _TwoWriters, dice: random.Random, uuid: UUID) -> None:
    log = _log(dice, lambda: f"{dice.choice(_CLOCKS)} {dice.choice('10X2')} {dice.choice(_REPOS)}")
    present = dice.random() < 0.5
    writers.compare(
        location.path(_KEY),
        log,
        lambda log: location.change(log, uuid, present, _NOW),
        *("setpresentkey", str(_KEY), uuid, "1" if present else "0"),
    )


def _try_trust_log(writers: _TwoWriters, dice: random.Random, uuid: UUID) -> None:
    log = _log(
        dice,
        lambda: f"{dice.choice(_REPOS)} {dice.choice('10X?Q')} timestamp={dice.choice(_CLOCKS)}",
    )
    level = TrustLevel.UNTRUSTED
    writers.compare(
        trust.PATH, log, lambda log: trust.change(log, uuid, level, _NOW), "untrust", uuid
    )


def _try_maxsize_log(writers: _TwoWriters, dice: random.Random, uuid: UUID) -> None:
    numbers = ["5", "0x1F", "7 7", "1e3", "-2", "(9)", "1.5", ""]
    log = _log(dice, lambda: f"{dice.choice(_CLOCKS)} {dice.choice(_REPOS)} {dice.choice(numbers)}")
    writers.compare(
        maxsize.PATH,
        log,
        lambda log: maxsize.change(log, uuid, 1_500_000, _NOW),
        *("maxsize", uuid, "1.5 MB"),
    )


def _try_preferred_content_log(writers: _TwoWriters, dice: random.Random, uuid: UUID) -> None:
    log = _log(
        dice,
        lambda: f"{dice.choice(_REPOS)} include=*.x  or present timestamp={dice.choice(_CLOCKS)}",
    )
    writers.compare(
        preferred.PATH,
        log,
        lambda log: preferred.change(log, uuid, b"nothing", _NOW),
        *("wanted", uuid, "nothing"),
    )


@pytest.mark.parametrize(
    "attempt",
    [_try_location_log, _try_trust_log, _try_maxsize_log, _try_preferred_content_log],
    ids=lambda attempt: attempt.__name__,
)
def test_both_make_the_same_of_any_log(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    attempt: Callable[[_TwoWriters, random.Random, UUID], None],
) -> None:
    writers = _TwoWriters(world, monkeypatch)
    dice = random.Random(2)
    for _ in range(15):
        attempt(writers, dice, UUID(dice.choice(_REPOS)))


def test_both_make_the_same_of_any_metadata(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    writers = _TwoWriters(world, monkeypatch)
    dice = random.Random(3)
    words = ["foo", "Foo", "bar", "+a", "-a", "+b", "-b", "+!YQ==", "", "-!YiA="]

    def change(log: bytes) -> bytes | None:
        return metadata.change(log, metadata.setting(metadata.current(log), "foo", [b"n"]), _NOW)

    for _ in range(20):
        log = _log(dice, lambda: f"{dice.choice(_CLOCKS)} {' '.join(dice.choices(words, k=5))}")
        writers.compare(
            metadata.path(_KEY), log, change, "metadata", f"--key={_KEY}", "-s", "foo=n", "--quiet"
        )


def test_the_whole_branch_of_the_real_program_is_understood(world: World, tmp_path: Path) -> None:
    """Rewriting what it wrote in everyday use changes nothing."""
    repo = world.make("repo")
    world.add(repo, "file", b"content")
    world.annex(repo, "numcopies", "2")
    world.annex(repo, "untrust", ".")
    (tmp_path / "special").mkdir()
    world.annex(
        repo, "initremote", "dir", "type=directory", f"directory={tmp_path / 'special'}",
        "encryption=none", "chunk=3",
    )  # fmt: skip
    world.annex(repo, "copy", "file", "--to=dir")
    files = world.git(repo, "ls-tree", "-r", "--name-only", "git-annex").splitlines()
    read = {path: world.run("git", "show", f"git-annex:{path}", cwd=repo).stdout for path in files}
    assert trust.LOG.render(trust.LOG.parse(read[trust.PATH].encode())) == read[trust.PATH].encode()
    located = [path for path in files if location.key_of(path) is not None]
    assert len(located) == 1
    assert len(location.present_uuids(read[located[0]].encode())) == 2
    assert any(path.endswith(".log.cnk") for path in files)
