"""Freezing and thawing of content: who may write to objects and to their directories.

Objects are frozen: nobody may write to them, nor change the directory that each of them has
for itself. What that means for modes depends on core.sharedRepository; a command or a hook
may do more, or something else on file systems without modes.

Source: on-disk behaviour of git-annex 10.20261026 in repositories of version 10.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from contextlib import suppress
from functools import lru_cache
from time import monotonic
from typing import Final

from shoal.git.config import GitConfig
from shoal.git.permissions import Permissions
from shoal.git.waiting import about_to_wait

_WRITE: Final = 0o222
_READ: Final = 0o444
_GROUP_READ_WRITE: Final = 0o660
_LOOK_HOLDS: Final = 0.002  # seconds


class Freezer:
    """Freezes and thaws what belongs to one repository. Thread-safe."""

    def __init__(
        self,
        permissions: Permissions,
        *,
        freeze_command: str | None = None,
        thaw_command: str | None = None,
        hooks_dir: str | None = None,
    ) -> None:
        self._permissions = permissions
        self._freeze = (freeze_command, _hook(hooks_dir, "freezecontent-annex"))
        self._thaw = (thaw_command, _hook(hooks_dir, "thawcontent-annex"))

    @classmethod
    def of(cls, permissions: Permissions, config: GitConfig, common_dir: str) -> Freezer:
        """Make the one that a repository's configuration asks for."""
        return cls(
            permissions,
            freeze_command=config.get("annex.freezecontent-command"),
            thaw_command=config.get("annex.thawcontent-command"),
            hooks_dir=os.path.join(common_dir, "hooks"),
        )

    def freeze_file(self, path: str) -> None:
        """Let nobody write to the content in `path`."""
        self.freeze_mode(path)
        self.after_freezing(path)

    def freeze_mode(self, path: str) -> None:
        """Take away write permission only; after_freezing() is the rest of freeze_file()."""
        if self._permissions.crippled:
            return
        if self._permissions.exact is not None:
            self._chmod(path, self._permissions.exact & ~_WRITE)
        else:
            readers = self._permissions.added & _READ or stat.S_IRUSR
            mode = _mode(path)
            self._chmod(path, mode & ~_WRITE | readers, mode)

    def after_freezing(self, path: str) -> None:
        """Run what the configuration wants for a file or directory that was frozen."""
        _run(*self._freeze, path)

    def thaw_file(self, path: str) -> None:
        """Let the owner (and the group of a shared repository) write to `path`."""
        if self._permissions.exact is not None:
            self._chmod(path, self._permissions.exact)
        else:
            mode = _mode(path)
            writers = _GROUP_READ_WRITE if self._permissions.added else stat.S_IWUSR
            self._chmod(path, mode | writers, mode)
        _run(*self._thaw, path)

    def freeze_directory(self, path: str) -> None:
        """Protect a key's directory; the group of a shared repository may still change it.

        A directory that is gone is no error: other processes clean up too.
        """
        if not self._permissions.crippled:
            with suppress(FileNotFoundError):
                if self._permissions.exact is not None:
                    exact = self._permissions.exact & ~stat.S_IWUSR
                    self._chmod(path, self._permissions.directory_of(exact))
                else:
                    mode = _mode(path)
                    shared = self._permissions.added != 0
                    frozen = mode | _GROUP_READ_WRITE if shared else mode & ~_WRITE
                    self._chmod(path, frozen, mode)
        self.after_freezing(path)

    def thaw_directory(self, path: str) -> None:
        """Let the owner change a key's directory. Raises FileNotFoundError when it is gone."""
        mode = _mode(path)
        if self._permissions.exact is not None:
            wanted = self._permissions.directory_of(self._permissions.exact) | stat.S_IWUSR
            self._chmod(path, wanted, mode | stat.S_ISGID)
        else:
            self._chmod(path, mode | stat.S_IWUSR, mode)
        _run(*self._thaw, path)

    @property
    def thawing_does_more(self) -> bool:
        """Whether a command or a hook must thaw a file before it can be changed or deleted."""
        return _words(*self._thaw, "") is not None

    @property
    def does_more(self) -> bool:
        """Whether a command or a hook is run when content is frozen or thawed."""
        return _words(*self._freeze, "") is not None or self.thawing_does_more

    def _chmod(self, path: str, mode: int, now: int | None = None) -> None:
        if mode == now:
            return
        try:
            os.chmod(path, mode)
        except FileNotFoundError:
            raise
        except OSError:
            if not (self._permissions.shared or self._permissions.crippled):
                raise


def _mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def _hook(hooks_dir: str | None, name: str) -> str | None:
    return None if hooks_dir is None else os.path.join(hooks_dir, name)


@lru_cache(maxsize=64)
def _is_there(hook: str, moment: int) -> bool:
    """Tell whether there is a hook; what was seen holds for the moment."""
    return os.access(hook, os.X_OK)


def _words(command: str | None, hook: str | None, path: str) -> list[str] | None:
    if hook is not None and _is_there(hook, int(monotonic() / _LOOK_HOLDS)):
        return [hook, path]
    if command:
        return ["sh", "-c", command.replace("%path", shlex.quote(path))]
    return None


def _run(command: str | None, hook: str | None, path: str) -> None:
    """Run a hook, else a configured command. Its failure is no error (as in git-annex)."""
    words = _words(command, hook, path)
    if words is not None:
        about_to_wait()
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=2, check=False)
