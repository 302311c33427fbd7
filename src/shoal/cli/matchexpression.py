"""`shoal matchexpression`: checks if a preferred content expression matches."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, key
from shoal.cli.context import Context
from shoal.errors import ExpressionError
from shoal.values.size import parse_size

if TYPE_CHECKING:
    from shoal.annex.expressions import Given
    from shoal.preferred.explain import Step

_NO_MATCH, _UNUSABLE = 1, 42


def add_arguments(parser: Parser) -> None:
    parser.add_argument("expression", metavar="EXPR")
    parser.add_argument(
        "--largefiles", action="store_true", help="parse as annex.largefiles expression"
    )
    parser.add_argument("--file", metavar="FILE", help="specify filename to match against")
    parser.add_argument("--key", type=key, metavar="KEY", help="specify key to match against")
    parser.add_argument("--size", type=_size, metavar="SIZE", help="specify size to match against")
    parser.add_argument("--mimetype", metavar="VALUE", help="specify mime type to match against")
    parser.add_argument(
        "--mimeencoding", metavar="VALUE", help="specify mime encoding to match against"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False  # it only reads
    from shoal.annex.expressions import MissingData, compile_expression
    from shoal.annex.matchtree import Always

    given = _given(args, context)
    try:
        tree = compile_expression(args.expression, largefiles=args.largefiles)
    except ExpressionError as error:
        context.out.say(f"bad expression: {error}")
        return _UNUSABLE
    if not args.largefiles:
        _warn(args.expression, context)
    if isinstance(tree, Always):
        return 0
    try:
        step = tree.step(given)
    except MissingData as error:
        context.out.say(str(error))
        return _UNUSABLE
    if context.settings.explain:
        _explain(step, context)
    return 0 if step.value else _NO_MATCH


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("parse error") from error


def _given(args: argparse.Namespace, context: Context) -> Given:
    from shoal.annex.expressions import Given

    session = context.session
    return Given(
        session.here,
        session.preferences.facts(args.key, args.file),
        args.file,
        args.key,
        args.size,
        args.mimetype,
        args.mimeencoding,
        context.settings.rebalance,
    )


def _warn(expression: str, context: Context) -> None:
    """Tell about patterns that are not valid; the real program fails when it comes to them."""
    from shoal.preferred.lint_words import lint_words

    for finding in lint_words(expression):
        if finding.kind == "glob":
            context.out.complain(f"warning: {finding.text}")


def _explain(step: Step, context: Context) -> None:
    from shoal.preferred.trail import trail

    found = "matches" if step.value else "does not match"
    context.out.explain(f"{found} provided expression: {trail(step)}")
