"""Git configuration: reading, fallbacks, writing, and noticing changes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from shoal.git.config import GitConfig, canonical, parse_bool
from shoal.git.process import Git
from shoal.git.watch import SETTLING


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "repo"], check=True)
    return tmp_path / "repo"


def _config(repo: Path) -> GitConfig:
    return GitConfig(Git(str(repo)), (str(repo / "config"), str(repo / "config.worktree")))


def _write(path: Path, text: str) -> None:
    """Replace a file as git does, with times in the past, so that it counts as settled."""
    new = path.with_suffix(".new")
    new.write_text(text)
    old = new.stat().st_mtime_ns - 100 * SETTLING
    os.utime(new, ns=(old, old))
    new.rename(path)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (None, True), ("", False), ("true", True), ("YES", True), ("on", True), ("1", True),
        ("-3", True), ("0", False), ("false", False), ("No", False), ("off", False), ("x", None),
    ],
)  # fmt: skip
def test_booleans(value: str | None, meaning: bool | None) -> None:
    assert parse_bool(value) is meaning


def test_canonical_keys_keep_the_case_of_a_remote() -> None:
    assert canonical("Remote.Some.Name.Annex-UUID") == "remote.Some.Name.annex-uuid"
    assert canonical("Annex.UUID") == "annex.uuid"


def test_values(repo: Path) -> None:
    with (repo / "config").open("a") as file:
        file.write(
            '[annex]\n\tthin\n\thardlink =\n\tjobs = 3\n\tbackend = MD5\n\tbackend = "S H A"\n'
            "\tmany = one\\ntwo\n\tretrydelay = 1.5\n\tnumber = 5x\n"
        )
    config = _config(repo)
    assert config.get("annex.nosuch") is None
    assert config.get("ANNEX.Backend") == "S H A"
    assert config.get_all("annex.backend") == ("MD5", "S H A")
    assert config.get("annex.many") == "one\ntwo"
    assert config.get("annex.thin") == ""
    assert config.get_bool("annex.thin", False) is True
    assert config.get_bool("annex.hardlink", True) is False
    assert config.get_bool("annex.backend", True) is True
    assert config.find_bool("annex.nosuch") is None
    assert config.get_int("annex.jobs", 1) == 3
    assert config.get_int("annex.number", 1) == 1
    assert config.get_float("annex.retrydelay", 1) == 1.5
    assert ("annex.backend", "MD5") in list(config.items())


def test_remotes_and_their_fallbacks(repo: Path) -> None:
    with (repo / "config").open("a") as file:
        file.write(
            '[remote "n1"]\n\turl = ../n1\n\tannex-uuid = u1\n\tannex-cost = 7.5\n'
            '[remote "S 3"]\n\tannex-s3 = true\n'
            '[remote "empty"]\n\tprune = true\n'
            "[remote]\n\tpushdefault = n1\n"
            "[annex]\n\tuuid = mine\n\tcost = 50\n\treadonly = true\n\tcluster-node = a b\n"
            '[annex "cluster"]\n\tbig1 = ac1\n'
        )
    config = _config(repo)
    assert config.remotes() == ["S 3", "n1"]
    n1, s3 = config.remote("n1"), config.remote("S 3")
    assert (n1.url, s3.url) == ("../n1", None)
    assert (n1.get("annex-uuid"), s3.get("annex-uuid")) == ("u1", None)
    assert (n1.get_float("annex-cost", 1), s3.get_float("annex-cost", 1)) == (7.5, 50)
    assert n1.get_bool("annex-readonly", False)
    assert n1.own("annex-readonly") is None
    assert n1.get_words("annex-cluster-node") == ("a", "b")
    assert n1.get("fetch") is None
    assert config.under("annex.cluster.") == {"big1": "ac1"}


def test_set_add_and_unset(repo: Path) -> None:
    config = _config(repo)
    config.set("annex.cluster.X", "one")
    config.set("annex.cluster.X", "two")
    config.add("annex.words", "a")
    config.add("annex.words", "b")
    assert config.get_all("annex.cluster.X") == ("two",)
    assert config.get_all("annex.words") == ("a", "b")
    config.unset("annex.words")
    config.unset("annex.words")
    assert config.get("annex.words") is None


def test_changes_by_others_are_noticed(repo: Path, tmp_path: Path) -> None:
    home = Path(os.environ["GIT_CONFIG_GLOBAL"])
    _write(repo / "config", (repo / "config").read_text() + "[include]\n\tpath = more\n")
    config = _config(repo)
    assert config.get("annex.jobs") is None
    _write(repo / "config", (repo / "config").read_text() + "[annex]\n\tjobs = 1\n")
    assert config.refresh()
    assert config.get("annex.jobs") == "1"
    _write(repo / "more", "[annex]\n\tjobs = 2\n")
    assert config.refresh()
    assert config.get("annex.jobs") == "1"  # the include comes first
    assert config.get_all("annex.jobs") == ("2", "1")
    _write(home, home.read_text() + "[annex]\n\tbackend = MD5\n")
    assert config.refresh()
    assert config.get("annex.backend") == "MD5"
    generation = config.generation
    (repo / "config").touch()
    assert not config.refresh()
    assert config.generation == generation


def test_a_settled_configuration_is_not_read_again(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(repo)
    os.utime(repo / "config", ns=(0, 0))
    deadline = 200
    while config._watch.changed() and deadline:
        config.refresh()
        deadline -= 1
    monkeypatch.setenv("PATH", "/nonexistent")  # git cannot be asked
    assert not config.refresh()
