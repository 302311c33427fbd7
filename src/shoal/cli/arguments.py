"""Command line arguments: argparse, with the real program's rules and error messages.

The rules are those of optparse-applicative (checked against git-annex 10.20261026): options and
other words may be mixed, `--` ends the options, no option can be abbreviated, an option takes
the next word as its value whatever it looks like, and a usage error exits with 1.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NoReturn

from shoal.errors import UsageError
from shoal.values.duration import parse_duration
from shoal.values.key import Key
from shoal.values.size import parse_size


class HelpShown(Exception):
    """--help was given, and answered."""


class Parser(argparse.ArgumentParser):
    """The arguments of one command. Add options and words with add_argument()."""

    def __init__(self, command: str, summary: str) -> None:
        super().__init__(
            prog=f"shoal {command}", description=summary, allow_abbrev=False, add_help=False
        )
        self.command = command
        self._words: list[str] = []
        self._values: dict[str, int] = {}  # option: how many words it takes
        self._common = self.add_argument_group("options of every command")
        _add_common(self._common)

    def format_usage(self) -> str:
        """Give the usage line, without the options of every command."""
        common = {id(action) for action in self._common._group_actions}
        shown = [action for action in self._actions if id(action) not in common]
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, shown, self._mutually_exclusive_groups, "Usage: ")
        return formatter.format_help()

    def format_help(self) -> str:
        """Give the text of --help."""
        _, blank, rest = super().format_help().partition("\n\n")
        return f"{self.format_usage()}{blank[1:]}{rest}\nFor all commands: shoal help\n"

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Read the command's words. Raises UsageError, or HelpShown after showing the help."""
        if any(word in {"-h", "--help"} for word in words[: _end_of_options(words)]):
            self.print_help()
            raise HelpShown
        for action in self._actions:
            count = 1 if action.nargs is None else action.nargs
            for name in action.option_strings:
                self._values[name] = count if isinstance(count, int) else 1
        self._words = list(words)
        options, others = self._sorted_out(list(words))
        return self.parse_args([*options, "--", *others] if others else options)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with what the real program would say."""
        if found := re.match(r"the following arguments are required: (.*)", message):
            message = f"Missing: {found[1]}"
        elif found := re.match(r"argument ([^ /]+/)?(\S+): (.*)", message):
            names = message.split(": ")[0].removeprefix("argument ").split("/")
            given = next((name for name in names if self._was_given(name)), names[-1])
            message = f"option {given}: {found[3]}"
        elif found := re.match(r"unrecognized arguments: (?:-- )?(.*)", message):
            message = f"Invalid argument `{found[1]}'"
        raise UsageError(f"{message}\n\n{self.format_usage().rstrip()}")

    def _was_given(self, name: str) -> bool:
        return any(
            word == name or word.startswith(f"{name}=") or (name[1] != "-" and word[:2] == name)
            for word in self._words
        )

    def _sorted_out(self, words: list[str]) -> tuple[list[str], list[str]]:
        """Give the options with their values, and the other words."""
        options: list[str] = []
        others: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                others.extend(rest)
            elif word == "-" or not word.startswith("-"):
                others.append(word)
            else:
                options.extend(self._option(word, rest))
        return options, others

    def _option(self, word: str, rest: Iterator[str]) -> list[str]:
        """Give one option with its values, taken from `rest`, in a form that argparse takes."""
        name, equals, value = word.partition("=")
        if word.startswith("--") and equals and self._values.get(name) == 1:
            return [f"{name}={value}"]
        if word in self._values:
            count = self._values[word]
            values = list(islice(rest, count))
            if len(values) < count:
                self.error(f"The option `{word}` expects an argument.")
            return [word, *values] if count != 1 else [f"{word}={values[0]}"]
        return self._cluster(word, rest)

    def _cluster(self, word: str, rest: Iterator[str]) -> list[str]:
        """Read `-J8` or `-Fq`: one-letter options, and perhaps a value, in one word."""
        given: list[str] = []
        while len(word) > 2 and not word.startswith("--") and self._values.get(word[:2]) == 0:
            given.append(word[:2])
            word = "-" + word[2:]
        if len(word) > 2 and not word.startswith("--") and self._values.get(word[:2]) == 1:
            return [*given, f"{word[:2]}={word[2:]}"]  # the form for any value
        if given and word in self._values:
            return [*given, *self._option(word, rest)]
        return self.error(f"Invalid option `{word}'")


def _end_of_options(words: Sequence[str]) -> int:
    return list(words).index("--") if "--" in words else len(words)


def _add_common(group: argparse._ArgumentGroup) -> None:
    """Add the options of every command that are known here; any other is refused."""
    flag = "store_true"
    group.add_argument("-h", "--help", action=flag, help="show this help text")
    group.add_argument("--force", action=flag, help="allow actions that may lose annexed data")
    group.add_argument("-F", "--fast", action=flag, help="avoid slow operations")
    group.add_argument("-q", "--quiet", action=flag, help="avoid verbose output")
    group.add_argument(
        "-v", "--verbose", action="store_false", dest="quiet", help="allow verbose output (default)"
    )
    group.add_argument("-d", "--debug", action=flag, default=None, help="show debug messages")
    group.add_argument(
        "--no-debug", action="store_false", dest="debug", help="don't show debug messages"
    )
    group.add_argument(
        "--debugfilter", metavar="NAME[,NAME..]", help="show debug messages from these modules"
    )
    group.add_argument("--user-agent", metavar="NAME", help="override default User-Agent")
    group.add_argument(
        "--trust-glacier", action=flag, help="deprecated, says that it has no effect"
    )
    group.add_argument(
        "-c", "--config", dest="git_config", metavar="NAME=VALUE", action="append", default=[],
        help="override git configuration setting",
    )  # fmt: skip
    group.add_argument(
        "-N", "--numcopies", metavar="N", type=number, help="override desired number of copies"
    )
    group.add_argument("--mincopies", metavar="N", type=number, help="override minimum number")
    group.add_argument("--explain", action=flag, help="explain why shoal does what it does")
    group.add_argument("--rebalance", action=flag, help="move content as needed to improve balance")
    for level, meaning in (
        ("trust", "accepted, and ignored as the real program does"),
        ("semitrust", "back to the default"),
        ("untrust", "never count its copies"),
    ):
        group.add_argument(
            f"--{level}", metavar="REMOTE", action="append", default=[],
            help=f"override trust setting: {meaning}",
        )  # fmt: skip


def number(text: str) -> int:
    """Read a plain decimal number. Raises argparse's error."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"cannot parse value `{text}'")
    return int(text)


def duration(text: str) -> int:
    """Read a span of time, such as `1h5m`; give seconds. Raises argparse's error."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def size(text: str) -> int:
    """Read a size, such as `5gb`; give bytes. Raises argparse's error."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"cannot parse value `{text}'") from error


def jobs(text: str) -> int:
    """Read the value of --jobs: a number of at least 1, or `cpus`."""
    if text == "cpus":
        import os

        return os.cpu_count() or 1
    return max(1, number(text))


def key(text: str) -> Key:
    """Read a key. Raises argparse's error."""
    try:
        return Key.parse(text.encode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise argparse.ArgumentTypeError("invalid key") from error


def add_json(parser: Parser, *, progress: bool = False) -> None:
    """Add --json and --json-error-messages, and --json-progress where there is progress."""
    parser.add_argument("-j", "--json", action="store_true", help="enable JSON output")
    parser.add_argument(
        "--json-error-messages", action="store_true", help="include error messages in JSON"
    )
    if progress:
        parser.add_argument(
            "--json-progress", action="store_true", help="include progress in JSON output"
        )


def add_jobs(parser: Parser) -> None:
    """Add --jobs."""
    parser.add_argument(
        "-J", "--jobs", type=jobs, metavar="NUMBER | cpus", help="enable concurrent jobs"
    )
