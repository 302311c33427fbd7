"""`shoal numcopies` and `shoal mincopies`: how many copies everything should have."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ShoalError
from shoal.values.number import read_int


def add_arguments(parser: Parser) -> None:
    parser.add_argument("number", metavar="NUMBER", nargs="*")


def run(args: argparse.Namespace, context: Context) -> int:
    if len(args.number) > 1:
        raise ShoalError("Specify a single number.")
    if not args.number:
        context.announces_commit = False
        return _show(context)
    number = _read(args.number[0], context.command)
    logs = context.repository.logs
    with context.out.item(Subject(text=str(number)), given=args.number):
        context.repository.branch.update()
        if context.command == "numcopies":
            logs.set_numcopies(number)
        else:
            logs.set_mincopies(number)
    return context.out.exit_code


def _show(context: Context) -> int:
    logs, command = context.repository.logs, context.command
    number = logs.numcopies() if command == "numcopies" else logs.mincopies()
    if number is not None:
        context.out.line(str(number))
        return 0
    context.out.line(f"global {command} is not set")
    if command == "numcopies":
        local = context.repository.config.get("annex.numcopies")
        if local is None:
            context.out.line("(default is 1)")
        else:
            context.out.line(f"(deprecated git config annex.numcopies is set to {local} locally)")
    return 0


def _read(text: str, command: str) -> int:
    try:
        number = read_int(text)
    except ValueError as error:
        raise ShoalError(f"Bad number: {text}") from error
    if number < 0:
        raise ShoalError(f"{command} cannot be negative!")
    if number == 0:
        raise ShoalError(f"Cannot set {command} to 0.")
    return number
