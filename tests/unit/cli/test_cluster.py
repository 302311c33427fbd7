"""`shoal cluster` finds its subcommands, and lists them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from shoal.cli.arguments import Parser
from shoal.cli.cluster import SUBCOMMANDS
from shoal.cli.main import main


@pytest.mark.parametrize(("name", "module", "summary"), SUBCOMMANDS)
def test_every_subcommand_has_arguments_and_help(
    name: str, module: str, summary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = import_module(f"shoal.cli.{module}")
    found.add_arguments(Parser(f"cluster {name}", summary))
    assert callable(found.run)
    for words in (["cluster", name, "--help"], ["help", "cluster", name]):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"Usage: shoal cluster {name}")
        assert summary in shown


def test_without_a_subcommand_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["cluster"], ["cluster", "--help"], ["help", "cluster"]):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert shown.startswith("Usage: shoal cluster COMMAND\n")
        assert all(f"\n  {name:<16}{text}\n" in shown for name, _, text in SUBCOMMANDS)


def test_a_subcommand_that_there_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["cluster", "nosuch"]) == 1
    assert "Invalid argument `nosuch'\n\nUsage: shoal cluster COMMAND\n" in capsys.readouterr().err
