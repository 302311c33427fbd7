"""Removing an object: what is done while its content lock is held exclusively."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from shoal.git.contentlock import ContentLock
from shoal.git.held import Held

if TYPE_CHECKING:
    from shoal.git.objects import ObjectStore
    from shoal.git.repository import Repository
    from shoal.values.key import Key


class Removal(Held):
    """The right to remove one content, until the end of a `with` block.

    Nobody can promise to keep the content meanwhile, so nobody can count it as a copy. The
    caller checks copies and time limits now, removes, and records the removal before it lets
    go.
    """

    def __init__(
        self, objects: ObjectStore, repository: Repository, key: Key, lock: ContentLock
    ) -> None:
        self._objects = objects
        self._repository = repository
        self._key = key
        self._lock = lock

    @property
    def path(self) -> str:
        """Where the object is, or was."""
        return self._lock.path

    def remove(self) -> None:
        """Remove the object and reset the unlocked files that have its content.

        Runs annex.secure-erase-command first. An object that is gone already is no error.
        """
        path = self._lock.path
        settings = self._objects.settings
        try:
            content = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        unlocked = settings.unlocked
        try:
            files = unlocked.find_unmodified(self._key, content) if unlocked else {}
            if settings.freezer.thawing_does_more:
                settings.freezer.thaw_file(path)
            settings.locks.in_thawed_directory(path, lambda: self._unlink(path))
        finally:
            os.close(content)
        if unlocked is not None:
            unlocked.empty(self._key, files, lambda file: erase(self._repository, file))

    def _unlink(self, path: str) -> None:
        erase(self._repository, path)
        with suppress(FileNotFoundError):
            os.unlink(path)

    def release(self) -> None:
        """Give the lock up. Harmless when it was given up before."""
        self._lock.release()


def erase(repository: Repository, path: str) -> None:
    """Overwrite a content before it is deleted, when the configuration asks for that."""
    hook = os.path.join(repository.common_dir, "hooks", "secure-erase-annex")
    command = repository.config.get("annex.secure-erase-command")
    if os.access(hook, os.X_OK):
        words = [hook, path]
    elif command:
        words = ["sh", "-c", command.replace("%file", shlex.quote(path))]
    else:
        return
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=2, check=False)
