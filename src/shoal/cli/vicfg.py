"""`shoal vicfg`: edit configuration in the git-annex branch."""

from __future__ import annotations

import argparse
import os
import subprocess
from contextlib import suppress

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.errors import ShoalError
from shoal.git.process import Git, GitError


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)


def run(args: argparse.Namespace, context: Context) -> int:
    if args.words:
        raise ShoalError("This command takes no parameters.")
    from shoal.annex.configfile import Edited, render
    from shoal.annex.reconfiguring import configure, configured, shown_names, used_groups

    session = context.session
    before = configured(session)
    text = render(before, shown_names(session), used_groups(session))
    file = context.repository.annex_path("config.tmp")
    try:
        while True:
            edited = Edited(_edit(file, text, context), before)
            if edited.marked is None:
                break
            text = edited.marked
    finally:
        with suppress(FileNotFoundError):
            os.unlink(file)
    changes = edited.changes()
    configure(session, changes)
    _warn({setting for setting, _ in changes}, context)
    return 0


def _edit(file: str, text: str, context: Context) -> str:
    """Let the user edit a text in a file; give what is in it then."""
    with open(file, "wb") as writing:
        writing.write(os.fsencode(text))
    context.out.flush()
    editor = _editor()
    # As git does: the editor is a command line, and the file its last word.
    done = subprocess.run(["sh", "-c", f'{editor} "$@"', editor, file], check=False)
    if done.returncode != 0:
        raise ShoalError(f"{editor} exited nonzero; aborting")
    with open(file, "rb") as reading:
        return os.fsdecode(reading.read())


def _editor() -> str:
    """Give the user's editor; where $EDITOR is not set, the one that git would run."""
    if configured := os.environ.get("EDITOR"):
        return configured
    try:
        return os.fsdecode(Git(None).run("var", "GIT_EDITOR")).rstrip("\n")
    except GitError as error:
        raise ShoalError("there is no editor: set $EDITOR, or git's core.editor") from error


def _warn(changed: set[str], context: Context) -> None:
    """Warn about expressions as `shoal wanted` does, when any could have changed its meaning."""
    if changed.isdisjoint({"wanted", "required", "groupwanted", "group", "maxsize", "trust"}):
        return
    from shoal.annex.linting import SessionNetwork
    from shoal.preferred.lint import lint_network

    network = SessionNetwork(context.session)
    for finding in lint_network(network):
        whose = finding.group or (network.name(finding.repo) if finding.repo else "")
        about = f"{finding.source} {whose}: " if finding.source else ""
        context.out.complain(f"warning: {about}{finding.text}")
