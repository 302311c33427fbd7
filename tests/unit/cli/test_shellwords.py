"""What shoal-shell reads from its command line and its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.cli.shellwords import AnnexCommand, GitCommand, Limits, absolute, parse_words
from shoal.errors import UsageError


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["configlist", "/r"], AnnexCommand("configlist", "/r")),
        (["-c", "git-annex-shell 'configlist' '/r'"], AnnexCommand("configlist", "/r")),
        (["-c", "-c", "/usr/bin/shoal-shell configlist /r"], AnnexCommand("configlist", "/r")),
        (
            ["-c", """git-annex-shell 'inannex' '/a b'"'"'c' "k" --uuid U"""],
            AnnexCommand("inannex", "/a b'c", ("k",), "U"),
        ),
        (
            ["inannex", "/r", "--uuid=U", "k1", "--debug", "k2", "--force"],
            AnnexCommand("inannex", "/r", ("k1", "k2"), "U", force=True, debug=True),
        ),
        (
            ["configlist", "/r", "--", "autoinit=1", "junk", "other=1", "--", "-e", "autoinit=2"],
            AnnexCommand("configlist", "/r", fields={"autoinit": "1"}),
        ),
        (["-c", "git-annex-shell 'configlist' '/r"], AnnexCommand("configlist", "/r")),
        (["-c", "git-annex-shell  inannex '' ''"], AnnexCommand("inannex", "", ("",))),
        (["-c", "git-upload-pack '/r x'"], GitCommand(("git-upload-pack '/r x'",))),
        (["-c", "ls /"], GitCommand(("ls /",))),
        (["ls", "/"], GitCommand(("ls", "/"))),
        (["-c", "git-annex-shell ls /"], GitCommand(("ls", "/"))),
        (["-c", "configlist /r"], GitCommand(("configlist /r",))),
    ],
)
def test_command_lines(words: list[str], command: AnnexCommand | GitCommand) -> None:
    assert parse_words(words) == command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "bad parameters"),
        (["-c"], "bad parameters"),
        (["configlist"], "bad parameters"),
        (["-c", "git-annex-shell "], "bad parameters"),
        (["-c", "git-annex-shell 'configlist"], "bad parameters"),
        (["p2pstdio", "/r", "--bogus"], "Invalid option `--bogus'"),
        (["p2pstdio", "/r", "--uuid"], "`--uuid` expects an argument"),
        (["configlist", "/r", "k"], "takes no parameters"),
    ],
)
def test_bad_command_lines(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_words(words)


def test_git_commands_name_their_directory_last() -> None:
    assert GitCommand(("git-upload-pack '/a b'",)).directory == "/a b"
    assert GitCommand(("git-upload-pack", "/a b")).directory == "/a b"
    assert GitCommand(("git-upload-pack",)).directory is None


def test_directories_are_below_home_unless_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("x", "/~/x", "~/x", f"{tmp_path}/x/", f"{tmp_path}/y/../x"):
        assert absolute(given) == f"{tmp_path}/x"
    assert absolute("/~root/x").endswith("/root/x")


def limits(**given: str) -> Limits:
    return Limits.of({f"GIT_ANNEX_SHELL_{name}": value for name, value in given.items()})


def test_empty_limits_are_none() -> None:
    assert limits(READONLY="", LIMITED="", DIRECTORY="") == Limits()


@pytest.mark.parametrize(
    ("given", "command", "message"),
    [
        ({"READONLY": "1", "APPENDONLY": "1"}, AnnexCommand("dropkey", "/r"), "SHELL_READONLY"),
        ({"APPENDONLY": "1"}, AnnexCommand("dropkey", "/r"), "SHELL_APPENDONLY"),
        ({"LIMITED": "1"}, GitCommand(("git-upload-pack /r",)), "SHELL_LIMITED"),
        ({"DIRECTORY": "/r"}, AnnexCommand("p2pstdio", "/s"), "Only allowed to access /r not /s"),
        ({"DIRECTORY": "/r"}, AnnexCommand("p2pstdio", "/r/../s"), "Only allowed to access /r"),
        (
            {"DIRECTORY": "/r"},
            GitCommand(("git-upload-pack /s",)),
            "Only allowed to access /r not /s",
        ),
        ({"DIRECTORY": "/r"}, GitCommand(("git-upload-pack",)), "Only allowed to access /r"),
    ],
)
def test_what_the_environment_forbids(
    given: dict[str, str], command: AnnexCommand | GitCommand, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        limits(**given).check(command)


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({"READONLY": "1"}, AnnexCommand("p2pstdio", "/r")),
        ({"READONLY": "1"}, GitCommand(("git-receive-pack /r",))),
        ({"LIMITED": "1"}, AnnexCommand("dropkey", "/r")),
        ({"DIRECTORY": "/r/"}, AnnexCommand("p2pstdio", "/./r")),
        ({"DIRECTORY": "/r"}, GitCommand(("git-upload-pack '/r/'",))),
    ],
)
def test_what_it_allows(given: dict[str, str], command: AnnexCommand | GitCommand) -> None:
    limits(**given).check(command)
