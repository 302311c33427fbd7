"""The annex-content hook of a repository that is served by the shell."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.git.repository import Repository


class ContentHook:
    """Runs hooks/annex-content after content came or went, one run at a time.

    Changes during a run cause one more run after it. The hook is told nothing.
    Source: git-annex-shell's manual (git-annex 10.20261026 does not run it for P2P sessions).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again = False

    def trigger(self, repository: Repository) -> None:
        """Content came or went."""
        hook = os.path.join(repository.common_dir, "hooks", "annex-content")
        if not os.access(hook, os.X_OK):
            return
        with self._lock:
            self._again = True
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(hook, repository.path), name="annex-content hook"
                )
                self._thread.start()

    def wait(self) -> None:
        """Wait until the hook has run for all changes."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self, hook: str, directory: str) -> None:
        while True:
            with self._lock:
                if not self._again:
                    self._thread = None
                    return
                self._again = False
            try:
                null = subprocess.DEVNULL
                subprocess.run([hook], cwd=directory, stdin=null, stdout=2, check=False)
            except OSError:
                continue  # it was taken away, or is no program: nothing to run
