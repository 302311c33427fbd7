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
    "gcryptsetup": "sets up gcrypt repository",
    "inannex": "checks if keys are present in the annex",
    "notifychanges": "sends notification when git refs are changed",
    "p2pstdio": "communicate in P2P protocol over stdio",
    "recvkey": "runs rsync in server mode to receive content",
    "sendkey": "runs rsync in server mode to send content",
}
_PARAMETERS = {
    "dropkey": "[KEY ...] ",
    "gcryptsetup": "[VALUE] ",
    "inannex": "[KEY ...] ",
    "p2pstdio": "[UUID] ",
    "recvkey": "[KEY] ",
    "sendkey": "[KEY] ",
}
"""What is named after the directory; the other commands take nothing there."""
_LIST = [f"{name:13} {meaning}" for name, meaning in COMMANDS.items()]
_OUR_NAMES = frozenset({"git-annex-shell", "shoal-shell"})
_FIELDS = frozenset({"remoteuuid", "autoinit"})
_WRITING = frozenset({"dropkey", "gcryptsetup", "recvkey"})
_FLAGS = frozenset({"--force", "--debug", "-d"})
_BATCH = frozenset({"--batch", "-z"})
_WITHOUT_EFFECT = frozenset({"--quiet", "-q", "--verbose", "-v", "--fast", "-F"})
_LIMITS = ("READONLY", "APPENDONLY", "LIMITED", "DIRECTORY")


@record
class GitCommand:
    """Something for git-shell, which takes one word only, with a whole command in it."""

    words: tuple[str, ...]

    @property
    def directory(self) -> str | None:
        """The last parameter, which is a repository; None when it cannot be told."""
        words = split_words(self.words[0]) if len(self.words) == 1 else self.words
        return words[-1] if len(words) > 1 else None


@record
class AnnexCommand:
    """One of our own commands."""

    name: str
    directory: str
    parameters: tuple[str, ...] = ()
    uuid: str | None = None
    force: bool = False
    debug: bool = False
    separator: str = ""  # of the keys on stdin, "" when none are there
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
        elif self.read_only and command.name in _WRITING:
            raise blocked("READONLY")
        elif self.append_only and command.name in _WRITING - {"recvkey"}:
            raise blocked("APPENDONLY")
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


def parse_words(words: Sequence[str], name: str = "shoal-shell") -> GitCommand | AnnexCommand:
    """Read a command line, without the program's `name`. Raises UsageError."""
    rest = list(words)
    while rest and rest[0] == "-c":
        rest.pop(0)
    if len(rest) == 1 and _is_ours(rest[0]):
        rest = split_words(rest[0])[1:]
    if not rest:
        raise UsageError(f"bad parameters\n\n{_usage(name)}")
    if rest[0] not in COMMANDS:
        return GitCommand(tuple(rest))
    if len(rest) < 2:
        raise UsageError(f"bad parameters\n\n{_usage(name)}")
    return _parse_command(rest, name)


def _usage(name: str) -> str:
    lines = [f"Usage: {name} [-c] command [parameters ...] [option ...]", ""]
    return "\n".join([*lines, "Plumbing commands:", "", *_LIST, ""])


def _is_ours(text: str) -> bool:
    name, blank, _ = text.partition(" ")
    return bool(blank) and os.path.basename(name) in _OUR_NAMES


def split_words(text: str) -> list[str]:
    """Split at blanks outside of quotes, as clients quote. A quote may stay open to the end."""
    words = [""]
    within = begun = ""
    for letter in text:
        if within:
            if letter == within:
                within = ""
            else:
                words[-1] += letter
        elif letter in "'\"":
            within = begun = letter
        elif letter != " ":
            words[-1] += letter
        elif words[-1] or begun:
            words.append("")
            begun = ""
    return words if words[-1] or begun else words[:-1]


class BadOption(UsageError):
    """An option that there is not; the message is whole, without a program's name before it."""


def _parse_command(words: Sequence[str], program: str) -> AnnexCommand:
    name, directory, *rest = words
    parameters: list[str] = []
    uuid, flags = None, set()
    known = _FLAGS | _BATCH if name == "dropkey" else _FLAGS
    while rest and rest[0] != "--":
        word = rest.pop(0)
        if word == "--uuid":
            if not rest:
                raise BadOption(
                    "The option `--uuid` expects an argument.\n\n"
                    f"Usage: {program} {name} {_PARAMETERS.get(name, '')}[--uuid UUID]"
                )
            uuid = rest.pop(0)
        elif word.startswith("--uuid="):
            uuid = word.removeprefix("--uuid=")
        elif word in known:
            flags.add(word)
        elif word.startswith("-") and word not in _WITHOUT_EFFECT:
            raise BadOption(f"Invalid option `{word}'\n\n{_help(program)}")
        elif not word.startswith("-"):
            parameters.append(word)
    if parameters and name not in _PARAMETERS:
        raise UsageError("This command takes no parameters.\n")
    fields = _parse_fields(rest[1:])
    separator = ("\0" if "-z" in flags else "\n") if "--batch" in flags else ""
    if separator and parameters:
        raise UsageError("Cannot combine batch option with file or key options\n")
    force, debug = "--force" in flags, bool(flags & {"--debug", "-d"})
    return AnnexCommand(name, directory, tuple(parameters), uuid, force, debug, separator, fields)


def _help(program: str) -> str:
    what = f"{program} - Restricted login shell for git-annex only SSH access"
    listed = [f"  {line}" for line in ["Plumbing commands:", "", *_LIST]]
    return "\n".join([f"Usage: {program} COMMAND", "", f"  {what}", "", *listed]).replace(
        "  \n", "\n"
    )


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
