"""Find the command, import its module, run it, and give its exit code.

This module is imported on every start, so it imports next to nothing itself.
"""

from __future__ import annotations

import os
import sys

import shoal

TYPE_CHECKING = False  # importing typing would cost as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from shoal.errors import ShoalError

# (section, ((command, module of shoal.cli, what it does), …)), in the order of `shoal help`.
SECTIONS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Commonly used commands",
        (
            ("add", "add", "add files to annex"),
            ("copy", "copy", "copy content of files to/from another repository"),
            ("drop", "drop", "remove content of files from repository"),
            ("get", "get", "get content of annexed files"),
            ("move", "move", "move content of files to/from another repository"),
            ("remotedaemon", "remotedaemon", "persistent communication with remotes"),
        ),
    ),
    (
        "Repository setup commands",
        (
            ("config", "config", "configuration stored in git-annex branch"),
            ("dead", "trust", "hide a lost repository"),
            ("describe", "describe", "change description of a repository"),
            ("group", "group", "add a repository to a group"),
            ("groupwanted", "wanted", "get or set groupwanted expression"),
            ("enable-tor", "enabletor", "enable tor hidden service"),
            ("init", "init", "initialize a repository for git-annex"),
            ("extendcluster", "extendcluster", "add a gateway to a cluster"),
            ("initcluster", "initcluster", "initialize a new cluster"),
            ("maxsize", "maxsize", "configure maximum size of a repository"),
            ("mincopies", "copies", "configure minimum number of copies"),
            ("numcopies", "copies", "configure desired number of copies"),
            ("p2p", "p2p", "configure peer-2-peer links between repositories"),
            ("required", "wanted", "get or set required content expression"),
            ("semitrust", "trust", "return repository to default trust level"),
            ("trust", "trust", "trust a repository"),
            ("ungroup", "group", "remove a repository from a group"),
            ("untrust", "trust", "do not trust a repository"),
            ("updatecluster", "updatecluster", "update records of cluster nodes"),
            ("updateproxy", "updatecluster", "update records with proxy configuration"),
            ("vicfg", "vicfg", "edit configuration in git-annex branch"),
            ("wanted", "wanted", "get or set preferred content expression"),
        ),
    ),
    (
        "Repository maintenance commands",
        (
            ("cluster", "cluster", "operate a cluster"),
            ("merge", "merge", "merge changes from remotes"),
        ),
    ),
    (
        "Query commands",
        (
            ("find", "find", "lists available files"),
            ("info", "info", "information about an item or the repository"),
            ("log", "log", "shows location log"),
            ("version", "version", "show version info"),
            ("whereis", "whereis", "lists repositories that have file content"),
        ),
    ),
    (
        "Metadata commands",
        (("metadata", "metadata", "sets or gets metadata of a file"),),
    ),
    (
        "Plumbing commands",
        (
            ("calckey", "calckey", "calculate key for a file"),
            ("checkpresentkey", "checkpresentkey", "check if key is present in remote"),
            ("contentlocation", "contentlocation", "looks up content for a key"),
            ("examinekey", "examinekey", "prints information from a key"),
            ("filter-process", "smudge", "long running git filter process"),
            ("lookupkey", "lookupkey", "looks up key used for file"),
            ("matchexpression", "matchexpression", "checks if an expression matches"),
            ("p2phttp", "p2phttp", "serve the P2P protocol over http"),
            ("post-receive", "hooks", "run by git post-receive hook"),
            ("pre-commit", "hooks", "run by git pre-commit hook"),
            ("pre-push", "hooks", "run by git pre-push hook"),
            ("pre-receive", "hooks", "run by git pre-receive hook"),
            ("readpresentkey", "readpresentkey", "read records of where key is present"),
            ("setpresentkey", "setpresentkey", "change records of where key is present"),
            ("smudge", "smudge", "git smudge filter"),
        ),
    ),
)
_HINT = "Usage: shoal COMMAND\n\nFor the list of commands: shoal help\n"
_HELP = ("help", "-h", "--help")
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with `argv` (by default the process's); give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        return _hushed()
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def module_of(command: str) -> str | None:
    """Give the name of the module in shoal.cli that has `command`, or None."""
    for _, commands in SECTIONS:
        for name, module, _ in commands:
            if name == command:
                return module
    return None


def _dispatch(words: list[str]) -> int:
    if words and words[0] == "--version":
        sys.stdout.write(f"shoal {shoal.__version__}\n")
        return 0
    if words and words[0] in _HELP:
        command = words[1] if len(words) > 1 else ""
        if not command:
            sys.stdout.write(_usage())
            return 0
        words = [*words[1:], "--help"]
    if not words:
        sys.stderr.write(f"Missing: COMMAND\n\n{_usage()}")
        return 1
    command, *rest = words
    module = module_of(command)
    if module is None:
        what = "option" if command.startswith("-") else "argument"
        sys.stderr.write(f"Invalid {what} `{command}'\n\n{_HINT}")
        return 1
    from importlib import import_module

    found = import_module(f"shoal.cli.{module}")
    for name, submodule, summary in getattr(found, "SUBCOMMANDS", ()):
        if rest[:1] == [name]:
            found = import_module(f"shoal.cli.{submodule}")
            return _run(f"{command} {name}", summary, found, rest[1:])
    return _run(command, summary_of(command), found, rest)


def _run(command: str, summary: str, module: ModuleType, words: list[str]) -> int:
    from shoal.cli.arguments import HelpShown, Parser
    from shoal.cli.context import Context
    from shoal.cli.limits import REACHED
    from shoal.cli.output import sentence_of
    from shoal.errors import ShoalError

    context: Context | None = None
    try:
        parser = Parser(command, summary)
        module.add_arguments(parser)
        args = parser.parse(words)
        context = Context(command, args)
        code = module.run(args, context)
        context.close()
    except HelpShown:
        return 0
    except ShoalError as error:
        return _failed(error, context)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _failed(ShoalError(sentence_of(error) or str(error)), context)
    finally:
        if context is not None:
            context.abandon()
    return REACHED if context.limits.reached else int(code)


def _failed(error: ShoalError, context: object) -> int:
    """Say in one sentence why the command ended."""
    from shoal.errors import UsageError

    sys.stdout.flush()
    text = str(error).encode("utf-8", "surrogateescape")
    prefix = b"" if isinstance(error, UsageError) and context is None else b"shoal: "
    sys.stderr.buffer.write(prefix + text + b"\n")
    if error.hint:
        sys.stderr.buffer.write(error.hint.encode("utf-8", "surrogateescape") + b"\n")
    sys.stderr.buffer.flush()
    return error.exit_code


def _hushed() -> int:
    """Whoever read our output has gone: end without a word."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return 1


def summary_of(command: str) -> str:
    """Give the sentence that says what `command` does."""
    return next(text for _, commands in SECTIONS for name, _, text in commands if name == command)


def _usage() -> str:
    parts = ["Usage: shoal COMMAND\n\n  shoal - many git-annex repositories, moving as one\n"]
    for section, commands in SECTIONS:
        lines = "".join(f"  {name:<16}{text}\n" for name, _, text in commands)
        parts.append(f"\n{section}:\n\n{lines}")
    parts.append("\nFor the options of a command: shoal COMMAND --help\n")
    return "".join(parts)
