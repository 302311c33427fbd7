"""`shoal p2p`: reach this repository, and others, over peer-to-peer networks.

Addresses of peers are read from stdin, so that tokens do not end up in the shell's history.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.output import Output, Subject
from shoal.cli.p2plink import connect
from shoal.errors import ShoalError

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.p2paddress import P2PAddress

_WARNING = (
    "These addresses allow access to this git-annex repository. Only share them with people you"
    " trust with that access, using trusted communication channels!"
)


def add_arguments(parser: Parser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--link", action="store_true", help="set up a P2P link to a git remote"
    )  # fmt: skip
    what.add_argument("--pair", action="store_true", help="pair with another repository")
    what.add_argument(
        "--gen-addresses", action="store_true",
        help="generate addresses that allow accessing this repository over P2P networks",
    )  # fmt: skip
    what.add_argument("--enable", metavar="NAME", help="enable using a P2P network")
    parser.add_argument("--name", metavar="NAME", help="name of remote")


def run(args: argparse.Namespace, context: Context) -> int:
    if args.gen_addresses:
        return _generate(context)
    if args.enable is not None:
        return _enable(args.enable, context)
    name = _unused_name(context.repository) if args.name is None else legal_name(args.name)
    if args.pair:
        from shoal.cli.p2ppair import pair

        return pair(name, context)
    return _link(name, context)


def _generate(context: Context) -> int:
    from shoal.git.p2pcreds import P2PCredentials, new_token

    credentials = P2PCredentials(context.repository)
    addresses = credentials.addresses()
    if not addresses:
        raise ShoalError(
            "No P2P networks are currently available.",
            hint="Enable one with: shoal p2p --enable NAME",
        )
    context.out.complain(_WARNING)
    for address in addresses:
        token = new_token()
        credentials.allow_token(address, token)
        context.out.line(f"{address}:{token}")
    return context.out.exit_code


def _enable(network: str, context: Context) -> int:
    from shoal.git.p2pcreds import P2PCredentials

    if network == "tor":
        from shoal.cli.enabletor import enable

        return enable(context)
    repository = context.repository
    with context.out.item(Subject(text=network), command="p2p enable"):
        credentials = P2PCredentials(repository)
        for address in _own_addresses(network):
            credentials.add_address(address)
    return context.out.exit_code


def _own_addresses(network: str) -> list[P2PAddress]:
    """Ask a network's program for the addresses of this repository. Raises ShoalError."""
    from shoal.values.p2paddress import NetAddress, parse_address

    program = NetAddress(network, "").program
    try:
        done = subprocess.run([program, "address"], stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise ShoalError(f"Cannot run {program} -- It is not installed in PATH") from error
    if done.returncode:
        raise ShoalError(f"{program} failed")
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
    found = [parse_address(str(NetAddress(network, line))) for line in lines if line]
    if not found:
        raise ShoalError(f"{program} did not output any P2P addresses")
    return found


def legal_name(text: str) -> str:
    """Give a name for a remote that is like what a user typed, and has no letters that git or a
    shell reads otherwise. (git-annex does it in the same way.)"""
    legal = "".join(one for one in text.replace("/", "_") if one in "_-." or one.isalnum())
    return legal.lstrip(".-") or "unnamed"


def _unused_name(repository: Repository) -> str:
    taken = repository.config.remotes()
    number = 1
    while f"peer{number}" in taken:
        number += 1
    return f"peer{number}"


def _link(name: str, context: Context) -> int:
    repository = context.repository
    with context.out.item(Subject(text=name), command="p2p link"):
        asked = _ask_for_address(context.out)
        if asked is None:
            raise ShoalError("Nothing entered, giving up.")
        connect(repository, name, *asked)
    return context.out.exit_code


def _ask_for_address(out: Output) -> tuple[P2PAddress, str] | None:
    from shoal.values.p2paddress import parse_with_token

    while True:
        out.write("\nEnter peer address: ")
        out.flush()
        line = sys.stdin.readline().strip()
        if not line:
            return None
        try:
            return parse_with_token(line)
        except ValueError:
            out.say("Unable to parse that address, please check its format and try again.")
