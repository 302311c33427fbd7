"""`shoal wanted`, `required` and `groupwanted`: expressions for what repositories want."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ExpressionError, ShoalError
from shoal.preferred.parse import parse


def add_arguments(parser: Parser) -> None:
    what = "GROUP" if parser.command == "groupwanted" else "REPOSITORY"
    parser.add_argument("words", metavar=f"{what} EXPRESSION", nargs="*")


def run(args: argparse.Namespace, context: Context) -> int:
    if len(args.words) not in (1, 2):
        of_group = context.command == "groupwanted"
        raise ShoalError("Specify a group." if of_group else "Specify a repository.")
    if len(args.words) == 1:
        context.out.line(_get(args.words[0], context))
        return 0
    name, expression = args.words
    change = _setter(name, expression, context)
    with context.out.item(Subject(text=name), given=args.words):
        try:
            parse(expression)
            change()
        except (ExpressionError, ValueError) as error:
            raise ShoalError(f"Parse error: {error}") from error
    return context.out.exit_code


def _get(name: str, context: Context) -> str:
    logs = context.repository.logs
    if context.command == "groupwanted":
        return logs.group_wanted().get(name, "")
    expressions = logs.wanted() if context.command == "wanted" else logs.required()
    return expressions.get(context.session.uuid_of(name), "")


def _setter(name: str, expression: str, context: Context) -> Callable[[], None]:
    logs = context.repository.logs
    if context.command == "groupwanted":
        return partial(logs.set_group_wanted, name, expression)
    change = logs.set_wanted if context.command == "wanted" else logs.set_required
    return partial(change, context.session.uuid_of(name), expression)
