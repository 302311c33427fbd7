"""git-annex's own hooks: programs in hooks/, or commands in git config.

A hook `NAME` is the executable file GIT/hooks/NAME; when there is none, a configured command
is given to `sh -c`. Source: git-annex's documentation of its hooks.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from shoal.git.config import GitConfig
from shoal.git.process import clean_environment


class Hooks:
    """Runs the hooks of one repository, with its top as working directory.

    What a hook prints goes to standard error, since standard output may be a protocol's.
    """

    def __init__(self, git_dir: str, directory: str, config: GitConfig) -> None:
        self._hooks = os.path.join(git_dir, "hooks")
        self._directory = directory
        self._config = config

    def run(self, name: str, key: str, environment: Mapping[str, str] | None = None) -> bool:
        """Run a hook, or the command in the git config `key`; tell whether it succeeded.

        It counts as success when there is neither. A failure is logged as a warning.
        """
        command = self._command(name, key)
        if command is None:
            return True
        env = clean_environment(environment)
        status = subprocess.run(command, cwd=self._directory, env=env, stdout=2, check=False)
        if status.returncode != 0:
            _warn_of_failure(command)
        return status.returncode == 0

    def output(self, name: str, key: str) -> str | None:
        """Run a hook, or the command in the git config `key`; give what it prints.

        None when there is neither, or it fails.
        """
        command = self._command(name, key)
        if command is None:
            return None
        done = subprocess.run(
            command, cwd=self._directory, env=clean_environment(), capture_output=True, check=False
        )
        if done.returncode != 0:
            _warn_of_failure(command)
            return None
        return done.stdout.decode("utf-8", "surrogateescape")

    def commit_message(self, default: str) -> str:
        """Give the message for a commit of the git-annex branch: what the user configured, or
        `default`."""
        found = self.output("commitmessage-annex", "annex.commitmessage-command")
        if found is None:
            found = self._config.get("annex.commitmessage")
        return default if found is None else found.removesuffix("\n")

    def branch_updated(self) -> None:
        """Run what the user wants to be run after the git-annex branch changed."""
        self.run("post-update-annex", "annex.post-update-command")

    def _command(self, name: str, key: str) -> list[str] | None:
        hook = os.path.join(self._hooks, name)
        if os.path.isfile(hook) and os.access(hook, os.X_OK):
            return [hook]
        configured = self._config.get(key)
        return None if configured is None else ["sh", "-c", configured]


def _warn_of_failure(command: list[str]) -> None:
    import logging  # slow to import, and rarely needed

    logging.getLogger("shoal.git").warning("%s failed", command[-1])
