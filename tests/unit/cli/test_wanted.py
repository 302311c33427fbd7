"""Expressions that hardly do what was meant are recorded, and warned about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoal.cli.main import main
from tests.support.annexrepo import THERE, make_annex


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_annex(tmp_path / "repo").close()
    monkeypatch.chdir(tmp_path / "repo")
    return tmp_path / "repo"


def test_a_warning_changes_nothing_else(repo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["wanted", "here", "not present"]) == 0
    out, error = capfd.readouterr()
    assert out.startswith("wanted here ok\n")
    assert error.startswith("shoal: warning: `present` is negated")
    assert error.count("\n") == 1
    assert main(["wanted", "here"]) == 0
    assert capfd.readouterr() == ("not present\n", "")


@pytest.mark.parametrize("command", ["wanted", "required"])
def test_warnings_in_json(repo: Path, command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([command, "here", "copies=nobody:1", "--json"]) == 0
    out, error = capfd.readouterr()
    record = json.loads(out)
    assert record["success"]
    assert "no repository is in group `nobody`" in record["warnings"][0]
    assert error == ""
    assert main([command, "here", "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["expression"] == "copies=nobody:1"
    assert shown["warnings"] == record["warnings"]


def test_a_group_is_linted_with_its_members(repo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["groupwanted", "pool", "balanced=pool"])
    assert "no repository is in group `pool`" in capfd.readouterr().err
    main(["group", "here", "pool"])
    main(["wanted", "here", "groupwanted"])
    capfd.readouterr()
    main(["groupwanted", "pool", "sizebalanced=pool:2"])
    assert "no maximum size is set for here" in capfd.readouterr().err


def test_other_repositories_are_called_by_their_uuid(
    repo: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main(["describe", "here", "me"])
    main(["group", "here", "pool"])
    main(["wanted", "here", "balanced=pool"])
    with (repo / ".git/config").open("a") as config:
        config.write(f'[remote "b"]\n\turl = ../b\n\tannex-uuid = {THERE}\n')
    capfd.readouterr()
    main(["wanted", "b", "balanced=pool"])
    assert "b is not in group `pool`" in capfd.readouterr().err


def test_what_does_not_parse_is_not_linted(repo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["wanted", "here", "not present bogus"]) == 1
    assert "warning" not in capfd.readouterr().err
