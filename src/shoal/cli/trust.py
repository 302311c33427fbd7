"""`shoal trust`, `untrust`, `semitrust` and `dead`: how far repositories are believed."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser, add_json, key
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ShoalError
from shoal.logs.trust import TrustLevel

_LEVELS = {
    "trust": TrustLevel.TRUSTED,
    "untrust": TrustLevel.UNTRUSTED,
    "semitrust": TrustLevel.SEMITRUSTED,
    "dead": TrustLevel.DEAD,
}
_DANGER = (
    "Trusting a repository can lead to data loss. If you're sure you know what you're doing, use "
    "--force to make this take effect. If you choose to do so, bear in mind that any time you "
    "drop content from {}, you will risk losing data."
)


def add_arguments(parser: Parser) -> None:
    parser.add_argument("repositories", metavar="REPOSITORY", nargs="*")
    if parser.command == "dead":
        parser.add_argument("--key", type=key, metavar="KEY", help="the key is gone for good")
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.repositories import set_trust

    if context.command == "dead" and args.key is not None:
        return _dead_key(args, context)
    if not args.repositories:
        raise ShoalError("no repository name specified")
    level = _LEVELS[context.command]
    for name in args.repositories:
        uuid = context.session.uuid_of(name)
        with context.out.item(Subject(text=name, uuid=uuid), given=[name]):
            if level is TrustLevel.TRUSTED and not context.settings.force:
                raise ShoalError(_DANGER.format(name))
            set_trust(context.repository, uuid, level)
    return context.out.exit_code


def _dead_key(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.deadkey import mark_dead

    if args.repositories:
        raise ShoalError("Cannot combine --key with repositories")
    with context.out.item(Subject(key=args.key)):
        mark_dead(context.repository, args.key)
    return context.out.exit_code
