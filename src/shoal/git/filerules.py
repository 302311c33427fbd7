"""Which files are annexed, and how: annex.largefiles, .dotfiles, .addunlocked and .backend.

git config counts most, then .gitattributes, then the repository-wide configuration on the
git-annex branch (`git annex config`).
Source: git-annex's manual; behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from shoal.errors import ConfigError
from shoal.git.attributes import Attributes
from shoal.git.config import parse_bool
from shoal.git.filematcher import FileMatcher
from shoal.git.keymaking import can_make_keys, default_backend

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_LARGE = "annex.largefiles"
_BACKEND = "annex.backend"


class FileRules:
    """Answers for files of one work tree; paths are from its top. close() it at the end."""

    def __init__(self, repository: Repository, *, backend: str | None = None) -> None:
        """`backend` is the user's choice for all files."""
        self._repository = repository
        self._backend = backend
        self._attributes = Attributes(repository.git, (_LARGE, _BACKEND))
        self._lock = threading.Lock()
        self._last: tuple[str, dict[str, str]] = ("", {})

    def is_large(self, path: str, size: int) -> bool | None:
        """Tell whether annex.largefiles wants a file annexed; None when nothing is set."""
        text, setting = self._configured(_LARGE)
        if setting != "git config":
            attribute = self._attributes_of(path).get(_LARGE)
            if attribute:
                text, setting = attribute, "gitattributes"
        if text is None:
            return None
        matcher = _matcher(text, f"annex.largefiles in {setting}")
        return None if matcher.is_empty else matcher.matches(path, size)

    def counts_as_dotfile(self, path: str) -> bool:
        """Tell whether a file is, or is below, a name with a dot first, and such files are
        not to be annexed."""
        if not any(part.startswith(".") for part in path.split("/")):
            return False
        text, _ = self._configured("annex.dotfiles")
        return text is None or not parse_bool(text)

    def is_added_unlocked(self, path: str, size: int) -> bool:
        """Tell whether a new annexed file is to be unlocked."""
        if not self._repository.config.get_bool("core.symlinks", True):
            return True
        text, setting = self._configured("annex.addunlocked")
        if text is None:
            return False
        plain = parse_bool(text)
        if plain is not None:
            return plain
        return _matcher(text, f"annex.addunlocked in {setting}").matches(path, size)

    def backend_for(self, path: str) -> bytes:
        """Give the backend for a new key. Raises ConfigError when it cannot make one."""
        config = self._repository.config
        name = self._backend or self._attributes_of(path).get(_BACKEND)
        backend = os.fsencode(name) if name else default_backend(config)
        if not can_make_keys(backend):
            raise ConfigError(f"unknown backend {os.fsdecode(backend)}")
        return backend

    def close(self) -> None:
        """End the process that is asked for attributes."""
        self._attributes.close()

    def _configured(self, name: str) -> tuple[str | None, str]:
        own = self._repository.config.get(name)
        if own is not None:
            return own, "git config"
        return self._repository.logs.config().get(name) or None, "git-annex config"

    def _attributes_of(self, path: str) -> dict[str, str]:
        with self._lock:
            if self._last[0] != path:
                self._last = (path, self._attributes.of(path))
            return self._last[1]


@lru_cache(maxsize=64)
def _matcher(text: str, setting: str) -> FileMatcher:
    return FileMatcher.parse(text, setting)
