"""`shoal config`: configuration stored in the git-annex branch, for all clones."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ShoalError
from shoal.git.process import Git
from shoal.logs.config import HONOURED
from shoal.values.number import read_int

if TYPE_CHECKING:
    from shoal.git.annexlogs import AnnexLogs

_WAYS = "(--set NAME VALUE | --get NAME | --unset NAME | --show-origin NAME)"
_NUMCOPIES, _MINCOPIES = "annex.numcopies", "annex.mincopies"
_NUMBERS = frozenset({_NUMCOPIES, _MINCOPIES})
_ATTRIBUTES = frozenset({"annex.largefiles", "annex.backend", *_NUMBERS})


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--set", nargs=2, metavar=("NAME", "VALUE"), help="set configuration")
    parser.add_argument("--get", metavar="NAME", help="get configuration")
    parser.add_argument("--unset", metavar="NAME", help="unset configuration")
    parser.add_argument("--show-origin", metavar="NAME", help="tell where a value comes from")
    parser.add_argument("--for-file", metavar="FILE", help="a file for --show-origin")


def run(args: argparse.Namespace, context: Context) -> int:
    given = [args.set, args.get, args.unset, args.show_origin]
    if sum(way is not None for way in given) != 1:
        raise ShoalError(f"Missing: {_WAYS}")
    logs = context.repository.logs
    if args.show_origin is not None:
        return _show_origin(args.show_origin, args.for_file, context)
    if args.get is not None:
        context.announces_commit = False
        value = _logged(_checked(args.get), logs)
        if value:
            context.out.line(value)
        return 0
    name, value = args.set or (args.unset, "")
    with context.out.item(Subject(text=value if args.set else "unset"), command=_checked(name)):
        if args.set is None and name in _NUMBERS:
            raise ShoalError(f"unsetting {name} is not supported")
        context.repository.branch.update()
        _set(name, value, logs)
    return context.out.exit_code


def _checked(name: str) -> str:
    if name not in HONOURED and name not in _NUMBERS:
        raise ShoalError(
            f"{name} is not a configuration setting that can be stored in the git-annex branch"
        )
    return name


def _logged(name: str, logs: AnnexLogs) -> str:
    if name in _NUMBERS:
        number = logs.numcopies() if name == _NUMCOPIES else logs.mincopies()
        return "" if number is None else str(number)
    return logs.config().get(name, "")


def _set(name: str, value: str, logs: AnnexLogs) -> None:
    if name not in _NUMBERS:
        try:
            return logs.set_config(name, value)
        except ValueError as error:
            raise ShoalError(f"{name}: {error}") from error
    try:
        number = read_int(value)
        return logs.set_numcopies(number) if name == _NUMCOPIES else logs.set_mincopies(number)
    except ValueError as error:
        raise ShoalError(f"invalid value for {name}") from error


def _show_origin(name: str, file: str | None, context: Context) -> int:
    """Tell which value of `name` counts, and where it comes from."""
    if name in _ATTRIBUTES and file is None:
        context.out.warning(
            f"{name} may be configured in gitattributes. Pass --for-file= with a filename to check"
        )
    status, out, _ = Git(None).ask("config", "--show-origin", "--get", name)  # as seen from here
    if status == 0:
        context.out.line(os.fsdecode(out).rstrip("\n"))
        return 0
    if name in _ATTRIBUTES and file is not None and (value := _attribute(context, name, file)):
        context.out.line(f"gitattributes\t{value}")
        return 0
    known = name in HONOURED or name in _NUMBERS
    if known and (value := _logged(name, context.repository.logs)):
        context.out.line(f"branch:git-annex\t{value}")
        return 0
    context.out.error(f"  {name} is not configured")
    return context.out.exit_code


def _attribute(context: Context, name: str, file: str) -> str | None:
    from shoal.git.attributes import Attributes

    with Attributes(context.repository.git, [name]) as attributes:
        return attributes.of(context.session.work_tree.path_of(file)).get(name)
