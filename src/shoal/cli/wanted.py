"""`shoal wanted`, `required` and `groupwanted`: expressions for what repositories want.

Beyond the real program they take --json, and warn about expressions that hardly do what was
meant. A warning changes neither what is recorded nor the exit code.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ExpressionError, ShoalError
from shoal.preferred.parse import parse


def add_arguments(parser: Parser) -> None:
    what = "GROUP" if parser.command == "groupwanted" else "REPOSITORY"
    parser.add_argument("words", metavar=f"{what} EXPRESSION", nargs="*")
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    if len(args.words) not in (1, 2):
        of_group = context.command == "groupwanted"
        raise ShoalError("Specify a group." if of_group else "Specify a repository.")
    if len(args.words) == 1:
        return _show(args.words[0], context)
    name, expression = args.words
    context.repository.branch.update()
    change = _setter(name, expression, context)
    warnings: list[str] = []
    with context.out.item(Subject(text=name), given=args.words) as item:
        try:
            parse(expression)
            change()
        except (ExpressionError, ValueError) as error:
            raise ShoalError(f"Parse error: {error}") from error
        warnings = _warnings(name, context)
        item.field(warnings=[*warnings])
    if not context.out.json:
        for text in warnings:
            context.out.complain(f"warning: {text}")
    return context.out.exit_code


def _show(name: str, context: Context) -> int:
    context.announces_commit = False
    expression = _get(name, context)
    if context.out.json:
        context.out.record(
            {
                "command": context.command,
                "error-messages": [],
                "expression": expression,
                "input": [name],
                "success": True,
                "warnings": [*_warnings(name, context)],
            }
        )
    else:
        context.out.line(expression)
    return 0


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


def _warnings(name: str, context: Context) -> list[str]:
    """Give what lint says about an expression as it is now."""
    from shoal.annex.linting import SessionNetwork
    from shoal.preferred.lint import lint_group_wanted, lint_wanted

    network = SessionNetwork(context.session)
    if context.command == "groupwanted":
        found = lint_group_wanted(name, network)
    else:
        found = lint_wanted(context.command, context.session.uuid_of(name), network)
    return [finding.text for finding in found]
