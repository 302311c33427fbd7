"""The program starts fast, finds its commands, and ends as programs should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import shoal
from shoal.cli.arguments import Parser
from shoal.cli.main import SECTIONS, main, module_of, summary_of

COMMANDS = [name for _, commands in SECTIONS for name, _, _ in commands]


def run(
    *words: str, cwd: Path | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run the program as a process."""
    return subprocess.run(
        [sys.executable, "-c", "import sys; from shoal.cli.main import main; sys.exit(main())",
         *words],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_arguments_and_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = import_module(f"shoal.cli.{module_of(command)}")
    parser = Parser(command, summary_of(command))
    module.add_arguments(parser)
    assert callable(module.run)
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: shoal {command}")
    assert summary_of(command) in shown


def test_the_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["help"], ["--help"], ["-h"]):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert all(f"\n  {command:<16}" in shown for command in COMMANDS)
    assert main(["help", "get"]) == 0
    assert capsys.readouterr().out.startswith("Usage: shoal get")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"shoal {shoal.__version__}\n"


def test_what_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nosuch"]) == 1
    assert capsys.readouterr().err.startswith("Invalid argument `nosuch'\n")
    assert main(["--nosuch"]) == 1
    assert capsys.readouterr().err.startswith("Invalid option `--nosuch'\n")
    assert main([]) == 1
    assert capsys.readouterr().err.startswith("Missing: COMMAND\n")


def test_an_error_is_one_sentence(tmp_path: Path) -> None:
    done = run("whereis", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "shoal: Not in a git repository.\n"


def test_starting_imports_next_to_nothing() -> None:
    """`shoal --version` is for scripts that ask often, and for the shell's completion."""
    script = (
        "import sys; before = set(sys.modules); from shoal.cli.main import main; "
        "main(['--version']); print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split("\n")[1].split()) == {
        "__future__",
        "shoal",
        "shoal.cli",
        "shoal.cli.main",
    }


@pytest.mark.parametrize("command", ["numcopies", "whereis", "find", "lookupkey", "maxsize"])
def test_commands_that_only_read_import_nothing_heavy(command: str) -> None:
    script = (
        f"import sys, shoal.cli.{module_of(command)}, shoal.annex.session, shoal.git.annexlogs, "
        "shoal.cli.context; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"asyncio", "aiohttp", "sqlite3", "ssl", "json", "concurrent.futures"}
    assert heavy & set(done.stdout.split()) == set()


def test_whoever_stops_reading_hears_no_complaint(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from shoal.cli.main import main; sys.exit(main())",
         "help"],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(words: list[str]) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
        return 0

    monkeypatch.setattr("shoal.cli.main._dispatch", interrupted)
    assert main(["x"]) == 130


def test_git_config_can_be_given(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for key, value in (("annex.uuid", "u"), ("annex.version", "10")):
        subprocess.run(["git", "-C", tmp_path, "config", key, value], check=True)
    done = run("numcopies", "-c", "annex.numcopies=3", cwd=tmp_path)
    assert "is set to 3 locally" in done.stdout
    assert "expected NAME=VALUE" in run("numcopies", "-c", "x", cwd=tmp_path).stderr


def test_version_tells_what_is_known(tmp_path: Path) -> None:
    assert run("version", "--raw", cwd=tmp_path).stdout == shoal.__version__
    lines = run("version", cwd=tmp_path).stdout.splitlines()
    assert lines[0] == f"shoal version: {shoal.__version__}"
    assert "key/value backends: SHA256E SHA256 " in lines[1]
    assert lines[-1] == "supported repository versions: 10"
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "config", "annex.version", "10"], check=True)
    assert run("version", cwd=tmp_path).stdout.splitlines()[-1] == "local repository version: 10"
