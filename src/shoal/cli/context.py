"""What a command gets besides its arguments: output, settings, and the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shoal.cli.output import Output
from shoal.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from shoal.git.repository import Repository


@dataclass(frozen=True, slots=True)
class Settings:
    """Options that every command has."""

    force: bool = False
    fast: bool = False
    quiet: bool = False
    numcopies: int | None = None
    mincopies: int | None = None


class Context:
    """One run of one command."""

    def __init__(self, command: str, args: argparse.Namespace) -> None:
        self.command = command
        self.settings = Settings(
            force=args.force,
            fast=args.fast,
            quiet=args.quiet,
            numcopies=args.numcopies,
            mincopies=args.mincopies,
        )
        _override_git_config(args.git_config)
        self.out = Output(
            command,
            json=getattr(args, "json", False),
            json_error_messages=getattr(args, "json_error_messages", False),
            json_progress=getattr(args, "json_progress", False),
            quiet=args.quiet,
            jobs=getattr(args, "jobs", None) or 1,
        )

    @cached_property
    def repository(self) -> Repository:
        """The repository around the current directory, initialised for git-annex.

        Raises NotARepository. One that was never used with git-annex here, but has a
        git-annex branch, is initialised.
        """
        from shoal.git.repository import Repository

        return Repository.discover()

    def close(self) -> None:
        """End a command that ran to its end: write what it changed, say what failed."""
        if "repository" in self.__dict__:
            self.repository.close()
        self.out.finish()

    def abandon(self) -> None:
        """Free what close() would have, if it has not been called."""
        self.out.flush()


def _override_git_config(settings: list[str]) -> None:
    """Make `-c name=value` hold for git, here and in every process that we start."""
    for setting in settings:
        name, equals, value = setting.partition("=")
        if "." not in name:
            raise UsageError(f"option -c: expected NAME=VALUE, not `{setting}'")
        count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        os.environ[f"GIT_CONFIG_KEY_{count}"] = name
        os.environ[f"GIT_CONFIG_VALUE_{count}"] = value if equals else "true"
        os.environ["GIT_CONFIG_COUNT"] = str(count + 1)
