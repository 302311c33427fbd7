"""The git configuration of one repository, as git reads it, and fresh.

All files are read by git itself in one command; their paths, those of included files and
those that could exist are watched, so that a look at the time stamps tells whether to read
again. Booleans follow git: a key without `=` is true.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from shoal.git.process import Git
from shoal.git.watch import Watch
from shoal.values.record import record

_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off", ""})
_NUMBER = re.compile(r"[+-]?[0-9]+")
_NOT_INHERITED = frozenset({"annex-uuid", "url", "pushurl", "fetch", "annexurl"})
_KEY_MISSING = 5  # exit status of `git config --unset`

Values = Mapping[str, tuple[str | None, ...]]


def canonical(key: str) -> str:
    """Give `key` with section and last part in lower case, as git lists it."""
    section, _, rest = key.partition(".")
    middle, dot, last = rest.rpartition(".")
    return f"{section.lower()}.{middle}{dot}{last.lower()}"


def parse_bool(value: str | None) -> bool | None:
    """Read a boolean as git does; None when it is none. `value` None is a key without `=`."""
    if value is None or value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    return int(value) != 0 if _NUMBER.fullmatch(value) else None


class GitConfig:
    """What git configuration says, from all its files. Thread-safe for readers."""

    def __init__(self, git: Git, files: tuple[str, ...]) -> None:
        """`files` are the repository's own configuration files, absolute."""
        self._git = git
        self._files = files
        self._values: Values = {}
        self._watch = Watch()
        self.generation = 0  # counts how often the values changed
        self.reload()

    def refresh(self) -> bool:
        """Read again if a file may have changed; tell whether any value did."""
        return self._watch.changed() and self.reload()

    def may_have_changed(self) -> bool:
        """Tell whether a file may differ from what was read: a few stat calls."""
        return self._watch.changed()

    def reload(self) -> bool:
        """Read everything again; tell whether any value changed."""
        self._watch.look([*self._files, *_user_files(), *_included(self._values, self._files)])
        values = _list(self._git)
        if values == self._values and self.generation:
            return False
        self._watch.look([*self._files, *_user_files(), *_included(values, self._files)])
        self._values = values
        self.generation += 1
        return True

    def get(self, key: str) -> str | None:
        """Give the last value of `key`, None when it is not set."""
        values = self._values.get(canonical(key))
        return None if values is None else values[-1] or ""

    def get_all(self, key: str) -> tuple[str, ...]:
        """Give all values of `key`, the one that wins last."""
        return tuple(value or "" for value in self._values.get(canonical(key), ()))

    def get_bool(self, key: str, default: bool) -> bool:
        """Give a boolean; `default` when it is not set or is not a boolean."""
        found = self.find_bool(key)
        return default if found is None else found

    def find_bool(self, key: str) -> bool | None:
        """Give a boolean; None when it is not set or is not a boolean."""
        values = self._values.get(canonical(key))
        return None if values is None else parse_bool(values[-1])

    def get_int(self, key: str, default: int) -> int:
        """Give a whole number; `default` when it is not set or is none."""
        value = self.get(key)
        return int(value) if value is not None and _NUMBER.fullmatch(value) else default

    def get_float(self, key: str, default: float) -> float:
        """Give a number; `default` when it is not set or is none."""
        try:
            return float(self.get(key) or "")
        except ValueError:
            return default

    def items(self) -> Iterator[tuple[str, str]]:
        """Give every key with each of its values, in the order that git lists keys first."""
        for key, values in self._values.items():
            for value in values:
                yield key, value or ""

    def under(self, prefix: str) -> dict[str, str]:
        """Give the keys that start with `prefix`, without it, and their values.

        `under("annex.cluster.")` gives cluster names and UUIDs.
        """
        start = canonical(prefix + "x")[:-1]
        return {
            key.removeprefix(start): values[-1] or ""
            for key, values in self._values.items()
            if key.startswith(start)
        }

    def remotes(self) -> list[str]:
        """Give the names of the git remotes, sorted by their configuration keys.

        As for git-annex, a remote is what has a `remote.NAME.url` or any `remote.NAME.annex-*`.
        """
        names = set()
        for key in self._values:
            if key.startswith("remote."):
                name, _, last = key.removeprefix("remote.").rpartition(".")
                if name and (last == "url" or last.startswith("annex-")):
                    names.add(name)
        return sorted(names, key=lambda name: f"{name}.")

    def remote(self, name: str) -> RemoteConfig:
        """Give the view on one remote's settings."""
        return RemoteConfig(self, name)

    def set(self, key: str, value: str) -> None:
        """Set `key` to one value in the repository's configuration."""
        self._git.run("config", "--local", "--replace-all", key, value)
        self.reload()

    def add(self, key: str, value: str) -> None:
        """Give `key` one more value in the repository's configuration."""
        self._git.run("config", "--local", "--add", key, value)
        self.reload()

    def unset(self, key: str) -> None:
        """Remove `key` from the repository's configuration; harmless when it is not there."""
        self._git.run("config", "--local", "--unset-all", key, ok=(0, _KEY_MISSING))
        self.reload()


@record
class RemoteConfig:
    """The settings of one remote: `remote.NAME.annex-X`, else `annex.X`."""

    config: GitConfig
    name: str

    @property
    def url(self) -> str | None:
        """The remote's url as configured, without `insteadOf`; None for a special remote."""
        return self.config.get(f"remote.{self.name}.url")

    def own(self, key: str) -> str | None:
        """Give `remote.NAME.key` itself."""
        return self.config.get(f"remote.{self.name}.{key}")

    def get(self, key: str) -> str | None:
        """Give `remote.NAME.key`; a key `annex-X` falls back to `annex.X`."""
        return self.config.get(self._deciding(key))

    def get_bool(self, key: str, default: bool) -> bool:
        """As get(), for a boolean."""
        return self.config.get_bool(self._deciding(key), default)

    def get_float(self, key: str, default: float) -> float:
        """As get(), for a number."""
        return self.config.get_float(self._deciding(key), default)

    def get_words(self, key: str) -> tuple[str, ...]:
        """As get(), for words separated by white space."""
        return tuple((self.get(key) or "").split())

    def _deciding(self, key: str) -> str:
        own = f"remote.{self.name}.{key}"
        if self.config.get(own) is not None or key in _NOT_INHERITED:
            return own
        return f"annex.{key.removeprefix('annex-')}" if key.startswith("annex-") else own


def _list(git: Git) -> dict[str, tuple[str | None, ...]]:
    values: dict[str, tuple[str | None, ...]] = {}
    for item in (
        git.run("config", "--null", "--list").decode("utf-8", "surrogateescape").split("\0")
    ):
        if item:
            key, equals, value = item.partition("\n")
            values[key] = (*values.get(key, ()), value if equals else None)
    return values


def _user_files() -> list[str]:
    """Give the files outside of the repository that git may read, present or not."""
    home = os.environ.get("HOME", "")
    if (only := os.environ.get("GIT_CONFIG_GLOBAL")) is not None:
        files = [only]
    else:
        xdg = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
        files = [f"{xdg}/git/config", f"{home}/.gitconfig"]
    if not os.environ.get("GIT_CONFIG_NOSYSTEM"):
        files.append(os.environ.get("GIT_CONFIG_SYSTEM", "/etc/gitconfig"))
    return files


def _included(values: Values, files: tuple[str, ...]) -> set[str]:
    """Give every file that an include may name, whichever file includes it.

    A condition on the checked-out branch makes HEAD count as well.
    """
    including = {os.path.dirname(path) for path in (*files, *_user_files())}
    found: set[str] = set()
    for key, paths in values.items():
        if key != "include.path" and not (key.startswith("includeif.") and key.endswith(".path")):
            continue
        if key.startswith("includeif.onbranch:"):
            found |= {os.path.join(os.path.dirname(path), "HEAD") for path in files}
        for path in paths:
            full = os.path.expanduser(path or "")
            found |= {os.path.normpath(os.path.join(directory, full)) for directory in including}
    return found
