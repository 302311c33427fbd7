"""`shoal p2phttp`: serve repositories to git-annex clients over HTTP.

--clusterjobs is taken and not needed: all nodes of a cluster are asked at once, in one thread.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, jobs, number
from shoal.cli.context import Context, override_git_config
from shoal.errors import NotARepository, UsageError

if TYPE_CHECKING:
    from shoal.git.config import GitConfig
    from shoal.server.options import Limits, Listening, Workers
    from shoal.server.permissions import Permissions

_NO_JOBS = "Use -Jn or set annex.jobs to configure the number of worker threads."
_NO_REPOSITORY = "Use the --directory option to specify which git-annex repositories to serve."
_FEWEST_JOBS = 2


def add_arguments(parser: Parser) -> None:
    _add_listening(parser)
    _add_permissions(parser)
    several = "append"
    parser.add_argument(
        "--proxyconnections", metavar="NUMBER", type=number,
        help="maximum number of idle connections to keep to each node",
    )  # fmt: skip
    parser.add_argument(
        "-J", "--jobs", metavar="NUMBER", type=jobs, help="how many requests to serve at once"
    )
    parser.add_argument(
        "--clusterjobs", metavar="NUMBER", type=number, default=1,
        help="number of concurrent node accesses per connection",
    )  # fmt: skip
    parser.add_argument("--cpus", metavar="NUMBER", type=number, help="how many cpus to run on")
    parser.add_argument(
        "--lockedfiles", metavar="NUMBER", type=number, default=100,
        help="number of content files that can be locked",
    )  # fmt: skip
    parser.add_argument(
        "--directory", metavar="PATH", action=several, default=[],
        help="serve repositories in subdirectories of a directory",
    )  # fmt: skip
    parser.add_argument(
        "--git", action="store_true", help="let clients clone, fetch and push over http, too"
    )


def _add_listening(parser: Parser) -> None:
    parser.add_argument("--port", metavar="NUMBER", type=_port, help="port to listen on (9417)")
    parser.add_argument("--bind", metavar="ADDRESS", help="address to bind to")
    parser.add_argument("--socket", metavar="PATH", help="bind to unix domain socket")
    parser.add_argument("--certfile", metavar="FILE", help="TLS certificate file for HTTPS")
    parser.add_argument("--privatekeyfile", metavar="FILE", help="TLS private key file for HTTPS")
    parser.add_argument(
        "--chainfile", metavar="FILE", action="append", default=[], help="TLS chain file"
    )


def _add_permissions(parser: Parser) -> None:
    for name, meaning in (
        ("authenv", "authenticate users from environment (https only)"),
        ("authenv-http", "authenticate users from environment (including http)"),
        ("unauth-readonly", "allow unauthenticated users to read"),
        ("unauth-appendonly", "allow unauthenticated users to read and append"),
        ("unauth-nolocking", "prevent unauthenticated users from locking content"),
        ("wideopen", "give unauthenticated users full read+write access"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=meaning)


def _port(text: str) -> int:
    port = number(text)
    if port > 65535:
        raise argparse.ArgumentTypeError(f"cannot parse value `{text}'")
    return port


def run(args: argparse.Namespace, context: Context) -> int:
    if args.proxyconnections is not None:
        override_git_config([f"shoal.idle-connections={args.proxyconnections}"])
    config = _config(args, context)
    workers = _workers(args, config)
    from shoal.server.gateways import open_directory
    from shoal.server.run import ServerOptions, serve

    options = ServerOptions(
        _listening(args),
        _permissions(args),
        _limits(args, config),
        workers.threads,
        workers.cpus,
        git=args.git or config.get_bool("shoal.serve-git", False),
    )
    path = None if args.directory else context.repository.path
    directories = tuple(args.directory)
    keeps = not args.force
    serve(
        options,
        lambda: open_directory(path, directories, workers.jobs, keeps_reserve=keeps),
        os.environ,
    )
    return 0


def _config(args: argparse.Namespace, context: Context) -> GitConfig:
    """Give the git configuration that the server's own settings are in."""
    if not args.directory:
        try:
            return context.repository.config
        except NotARepository as error:
            raise UsageError(_NO_REPOSITORY) from error
    from shoal.git.config import GitConfig
    from shoal.git.process import Git

    return GitConfig(Git(None), ())


def _workers(args: argparse.Namespace, config: GitConfig) -> Workers:
    from shoal.server.options import Workers

    count = args.jobs if args.jobs is not None else _configured_jobs(config)
    if count < _FEWEST_JOBS:
        raise UsageError(_NO_JOBS)
    return Workers(count, args.cpus)


def _configured_jobs(config: GitConfig) -> int:
    try:
        return jobs(config.get("annex.jobs") or "")
    except argparse.ArgumentTypeError:
        return 0


def _listening(args: argparse.Namespace) -> Listening:
    from shoal.server.options import DEFAULT_PORT, Listening

    port = DEFAULT_PORT if args.port is None else args.port
    chain = tuple(args.chainfile)
    return Listening(args.bind, port, args.socket, args.certfile, args.privatekeyfile, chain)


def _permissions(args: argparse.Namespace) -> Permissions:
    from shoal.server.permissions import Permissions, anonymous_may, users_from_environment

    anonymous = anonymous_may(
        readonly=args.unauth_readonly,
        appendonly=args.unauth_appendonly,
        nolocking=args.unauth_nolocking,
        wideopen=args.wideopen,
    )
    may_log_in = args.authenv or args.authenv_http
    users = users_from_environment(os.environ) if may_log_in else None
    return Permissions(anonymous, users, plain_http=args.authenv_http)


def _limits(args: argparse.Namespace, config: GitConfig) -> Limits:
    from shoal.server.options import Limits
    from shoal.server.patience import seconds_of, stall_of

    usual = Limits()
    return Limits(
        stall=stall_of(config),
        idle=seconds_of(config, "shoal.client-idle-time", usual.idle),
        drain=seconds_of(config, "shoal.drain-time", usual.drain),
        locked_files=args.lockedfiles,
    )
