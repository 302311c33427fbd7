"""What shoal-shell is asked to do, and what its environment allows; nothing is done here.

    shoal-shell [-c] COMMAND DIRECTORY [PARAMETER...] [OPTION...] [-- FIELD=VALUE... [-- ...]]
    shoal-shell -c "git-annex-shell 'COMMAND' 'DIRECTORY' ..."
    shoal-shell -c "GIT COMMAND"

Source: git-annex-shell's man page; messages as of git-annex 10.20261026.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from shoal.errors import UsageError
from shoal.values.record import record

COMMANDS = {
    "configlist": "outputs relevant git configuration",
    "dropkey": "drops annexed content for specified keys",
    "inannex": "checks if keys are present in the annex",
    "p2pstdio": "communicate in P2P protocol over stdio",
}
NOT_HERE = frozenset({"gcryptsetup", "notifychanges", "recvkey", "sendkey"})
"""Commands of git-annex-shell that today's clients have no need of."""

USAGE = "\n".join(
    [
        "Usage: shoal-shell [-c] command [parameters ...] [option ...]",
        "",
        "Plumbing commands:",
        "",
        *(f"{name:13} {meaning}" for name, meaning in COMMANDS.items()),
    ]
)
_OUR_NAMES = frozenset({"git-annex-shell", "shoal-shell"})
_FIELDS = frozenset({"remoteuuid", "autoinit"})
_LIMITS = ("READONLY", "APPENDONLY", "LIMITED", "DIRECTORY")


@record
class GitCommand:
    """Something for git-shell."""

    text: str

    @property
    def directory(self) -> str | None:
        """The last parameter, which is a repository; None when it cannot be told."""
        import shlex

        try:
            words = shlex.split(self.text)
        except ValueError:
            return None
        return words[-1] if len(words) > 1 else None


@record
class AnnexCommand:
    """One of our own commands."""

    name: str
    directory: str
    parameters: tuple[str, ...] = ()
    uuid: str | None = None
    force: bool = False
    fields: Mapping[str, str] = MappingProxyType({})

    @property
    def may_init(self) -> bool:
        """The client wants the repository to be initialised if it is not."""
        return self.fields.get("autoinit") == "1"


@record
class Limits:
    """What the environment (as set in authorized_keys) leaves of a user's powers."""

    read_only: bool = False
    append_only: bool = False
    no_git: bool = False
    directory: str | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """Read GIT_ANNEX_SHELL_*. An empty value counts as none."""
        given = {name: environment.get(f"GIT_ANNEX_SHELL_{name}", "") for name in _LIMITS}
        return cls(
            bool(given["READONLY"]),
            bool(given["APPENDONLY"]),
            bool(given["LIMITED"]),
            given["DIRECTORY"] or None,
        )

    def check(self, command: GitCommand | AnnexCommand) -> None:
        """Raise UsageError when `command` is not allowed."""
        if isinstance(command, GitCommand):
            if self.no_git:
                raise blocked("LIMITED")
        elif command.name == "dropkey" and (self.read_only or self.append_only):
            raise blocked("READONLY" if self.read_only else "APPENDONLY")
        self._check_directory(command.directory)

    def _check_directory(self, directory: str | None) -> None:
        if self.directory is None:
            return
        if directory is None:
            raise UsageError(f"Only allowed to access {self.directory}")
        if absolute(directory) != absolute(self.directory):
            raise UsageError(f"Only allowed to access {self.directory} not {directory}")


def blocked(limit: str) -> UsageError:
    """Give the error for what GIT_ANNEX_SHELL_`limit` forbids."""
    return UsageError(f"Action blocked by GIT_ANNEX_SHELL_{limit}")


def absolute(directory: str) -> str:
    """Give the path that a client means: relative ones, `/~/x` and `/~user/x` are below a home
    directory."""
    if directory.startswith("/~"):
        directory = directory[1:]
    if directory.startswith("~"):
        directory = os.path.expanduser(directory)
    home = os.path.expanduser("~")
    return os.path.normpath(os.path.join(home, directory))


def parse_words(words: Sequence[str]) -> GitCommand | AnnexCommand:
    """Read a command line, without the program's name. Raises UsageError."""
    rest = list(words)
    while rest and rest[0] == "-c":
        rest.pop(0)
    if not rest:
        raise UsageError(f"bad parameters\n\n{USAGE}")
    if len(rest) == 1 and _is_ours(rest[0]):
        rest = _split(rest[0])[1:]
        if not rest:
            raise UsageError(f"bad parameters\n\n{USAGE}")
    if rest[0] in NOT_HERE:
        raise UsageError(f"{rest[0]} is not supported by this server")
    if rest[0] not in COMMANDS:
        return GitCommand(" ".join(rest))
    return _parse_command(rest)


def _is_ours(text: str) -> bool:
    name, blank, _ = text.partition(" ")
    return bool(blank) and os.path.basename(name) in _OUR_NAMES


def _split(text: str) -> list[str]:
    import shlex

    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"bad parameters ({error})") from error


def _parse_command(words: Sequence[str]) -> AnnexCommand:
    if len(words) < 2:
        raise UsageError(f"bad parameters\n\n{USAGE}")
    name, directory, *rest = words
    parameters: list[str] = []
    uuid, force = None, False
    while rest and rest[0] != "--":
        word = rest.pop(0)
        if word == "--uuid" and rest:
            uuid = rest.pop(0)
        elif word.startswith("--uuid="):
            uuid = word.removeprefix("--uuid=")
        elif word == "--force":
            force = True
        elif word.startswith("-") and word not in {"--debug", "-d"}:
            raise UsageError(f"Invalid option `{word}'\n\n{USAGE}")
        elif not word.startswith("-"):
            parameters.append(word)
    fields = _parse_fields(rest[1:])
    return AnnexCommand(name, directory, tuple(parameters), uuid, force, fields)


def _parse_fields(words: Sequence[str]) -> dict[str, str]:
    """Read FIELD=VALUE words up to the next `--`. What is not known is ignored."""
    fields = {}
    for word in words:
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if equals and name in _FIELDS:
            fields[name] = value
    return fields
