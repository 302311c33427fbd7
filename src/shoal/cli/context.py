"""What a command gets besides its arguments: output, settings, and the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shoal import debug
from shoal.cli.limits import Limits
from shoal.cli.output import Output
from shoal.errors import NotARepository, UsageError
from shoal.logs.trust import TrustLevel

if TYPE_CHECKING:
    import argparse

    from shoal.annex.session import Session
    from shoal.git.repository import Repository

HOOK_COMMANDS = frozenset({"smudge", "filter-process", "pre-commit", "post-receive", "pre-push"})
"""Commands that git runs, by hooks and filters; shoal has them too."""

_MERGE_SILENTLY = HOOK_COMMANDS | {
    *("find", "group", "groupwanted", "required", "updatecluster", "updateproxy", "wanted"),
    *("checkpresentkey", "lookupkey", "matchexpression", "p2p", "p2phttp", "remotedaemon"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Options that every command has."""

    force: bool = False
    fast: bool = False
    quiet: bool = False
    numcopies: int | None = None
    mincopies: int | None = None
    explain: bool = False
    rebalance: bool = False


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
            explain=args.explain,
            rebalance=args.rebalance,
        )
        override_git_config(args.git_config)
        if args.user_agent is not None:
            override_git_config([f"annex.http-headers=User-Agent: {args.user_agent}"])
        self._debug: bool | None = args.debug
        self._debug_filter: str | None = args.debugfilter
        if self._debug:
            debug.enable(_words(self._debug_filter))
        self.out = Output(
            command,
            json=getattr(args, "json", False),
            json_error_messages=getattr(args, "json_error_messages", False),
            json_progress=getattr(args, "json_progress", False),
            quiet=args.quiet,
            jobs=getattr(args, "jobs", None) or 1,
        )
        if args.trust_glacier:
            self.out.complain("--trust-glacier no longer has any effect")
        self.limits = Limits(getattr(args, "time_limit", None), getattr(args, "size_limit", None))
        self._trust_overrides = [
            *((name, TrustLevel.SEMITRUSTED) for name in args.semitrust),
            *((name, TrustLevel.UNTRUSTED) for name in args.untrust),
        ]
        self.commits = True
        """Whether what the command recorded is committed to the git-annex branch at its end."""
        self.announces_commit = True
        self.staged = False
        """Whether the command put anything into the git index."""

    @cached_property
    def found_repository(self) -> Repository:
        """The repository around the current directory, whether git-annex is used there or not.

        Raises NotARepository.
        """
        from shoal.git.repository import Repository, UnsupportedVersion

        try:
            repository = Repository.discover()
        except UnsupportedVersion:
            raise
        except NotARepository as error:
            raise NotARepository("Not in a git repository.") from error
        self._configure_debug(repository)
        repository.keeps_reserve = not self.settings.force
        repository.note = self._note
        repository.complain = lambda text: self.out.complain(f"warning: {text}")
        return repository

    def _note(self, text: str) -> None:
        """Tell that the git-annex branch is merged, where git-annex does that, too."""
        if self.announces_commit and self.command not in _MERGE_SILENTLY:
            self.out.note(text)

    def _configure_debug(self, repository: Repository) -> None:
        """Show debug messages if the configuration wants them; options go first."""
        config = repository.config
        if self._debug is None and config.get_bool("annex.debug", False):
            debug.enable()
        chosen = self._debug_filter or config.get("annex.debugfilter")
        if chosen and debug.is_enabled():
            debug.enable(_words(chosen))

    @cached_property
    def repository(self) -> Repository:
        """The repository around the current directory, initialised for git-annex.

        Raises NotARepository. A clone of a git-annex repository is initialised now.
        """
        repository = self.found_repository
        self.out.quotes_high = repository.config.get_bool("core.quotepath", True)
        if repository.is_initialised:
            return repository
        from shoal.git.init import ensure_initialised  # slow to import

        try:
            ensure_initialised(repository, HOOK_COMMANDS)
        except NotARepository as error:
            raise NotARepository(error.hint or str(error)) from error
        return repository

    @cached_property
    def session(self) -> Session:
        """The user's work in the repository. Raises NotARepository."""
        return self.new_session()

    def new_session(self) -> Session:
        """Give a session of its own, which sees what was configured meanwhile; the caller
        closes it. Raises NotARepository."""
        from shoal.annex.session import Session

        return Session(
            self.repository,
            numcopies=self.settings.numcopies,
            mincopies=self.settings.mincopies,
            trust_overrides=self._trust_overrides,
            rebalance=self.settings.rebalance,
            explain=self.out.explain if self.settings.explain else None,
            warn=self.out.warning,
        )

    def close(self) -> None:
        """End a command: commit what it recorded, say what failed, free everything."""
        try:
            if "found_repository" in self.__dict__ and self.commits:
                self.commit()
        finally:
            self.abandon()
            self.out.finish()

    def abandon(self) -> None:
        """Free everything, without a word. Harmless after close()."""
        for name in ("session", "found_repository"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
        self.out.flush()

    def commit(self) -> None:
        """Commit what was recorded so far to the git-annex branch, if the user wants that."""
        from shoal.git.refs import RECORDING

        repository = self.found_repository
        always = repository.config.get_bool("annex.alwayscommit", True)
        if always and (repository.branch.commit() or self.staged) and self.announces_commit:
            self.out.note(RECORDING)


def _words(text: str | None) -> list[str]:
    """Give the words between commas."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def override_git_config(settings: list[str]) -> None:
    """Make `-c name=value` hold for git, here and in every process that we start."""
    for setting in settings:
        name, equals, value = setting.partition("=")
        if "." not in name:
            raise UsageError(f"option -c: expected NAME=VALUE, not `{setting}'")
        count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        os.environ[f"GIT_CONFIG_KEY_{count}"] = name
        os.environ[f"GIT_CONFIG_VALUE_{count}"] = value if equals else "true"
        os.environ["GIT_CONFIG_COUNT"] = str(count + 1)
