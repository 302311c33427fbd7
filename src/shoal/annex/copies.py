"""How many copies of a key are wanted: options, attributes, the git-annex branch, git config.

The first of these that says something counts, for numcopies and mincopies each. A drop needs
the most that any file with the same content asks for, so that no file's copies are dropped
under the name of another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from shoal.annex.filesofkeys import FilesOfKeys
from shoal.annex.proof import Needed
from shoal.git.attributes import Attributes
from shoal.git.process import entries_of
from shoal.values.number import read_int

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key

_NUMCOPIES = "annex.numcopies"
_MINCOPIES = "annex.mincopies"
_OF_GIT = b".gitattributes"
_DEFAULT = 1


class CopiesWanted:
    """How many copies the repository's user wants. close() it at the end.

    `numcopies` and `mincopies` override everything; the `logged_…` ones are what the
    git-annex branch says, None where it says nothing.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        numcopies: int | None = None,
        mincopies: int | None = None,
        logged_numcopies: int | None = None,
        logged_mincopies: int | None = None,
    ) -> None:
        self._repository = repository
        self._override = {_NUMCOPIES: numcopies, _MINCOPIES: mincopies}
        configured = repository.config.get(_NUMCOPIES)
        by_config = None if configured is None else _number(configured)
        self._default = {
            _NUMCOPIES: logged_numcopies or by_config or _DEFAULT,
            _MINCOPIES: logged_mincopies or _DEFAULT,
        }
        self._logged = logged_numcopies
        self._attributes = Attributes(repository.git, [_NUMCOPIES, _MINCOPIES])

    def of_file(self, path: str | None) -> Needed:
        """Give what is wanted for the content of one file (from the work tree's top), or of a
        key alone."""
        given = {} if path is None or self._repository.is_bare else self._attributes.of(path)
        return Needed(self._value(_NUMCOPIES, given), self._value(_MINCOPIES, given))

    def agreed(self, path: str | None) -> int:
        """Give the numcopies of one file that every repository with this tree and git-annex
        branch knows of: without options and git config, so that all decide alike."""
        attribute = None
        if path is not None and not self._repository.is_bare:
            attribute = _number(self._attributes.of(path).get(_NUMCOPIES, ""))
        return attribute or self._logged or _DEFAULT

    def of_key(self, key: Key, path: str | None = None) -> Needed:
        """Give what a drop of `key` must leave: the most that any of its files asks for."""
        needed = self.of_file(path)
        if not self.may_depend_on_files:
            return needed
        for other in self.files.of(key):
            also = self.of_file(other)
            needed = Needed(
                max(needed.numcopies, also.numcopies), max(needed.mincopies, also.mincopies)
            )
        return needed

    @cached_property
    def files(self) -> FilesOfKeys:
        """Which files have which keys."""
        return FilesOfKeys(self._repository)

    def close(self) -> None:
        """End the git process."""
        self._attributes.close()

    def _value(self, name: str, attributes: dict[str, str]) -> int:
        override = self._override[name]
        if override is not None:
            return override
        by_file = _number(attributes[name]) if name in attributes else None
        return by_file or self._default[name]

    @cached_property
    def may_depend_on_files(self) -> bool:
        """Whether some attribute may ask for other numbers of copies of some file."""
        if self._repository.is_bare or all(v is not None for v in self._override.values()):
            return False
        return _mentions(self._attribute_files(), (_NUMCOPIES.encode(), _MINCOPIES.encode()))

    def _attribute_files(self) -> Iterable[str]:
        """Give every file that git may read attributes from."""
        repository, home = self._repository, os.path.expanduser("~")
        base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        configured = repository.config.get("core.attributesfile")
        yield os.path.expanduser(configured) if configured else f"{base}/git/attributes"
        yield "/etc/gitattributes"
        yield os.path.join(repository.common_dir, "info", "attributes")
        with repository.git.reading("ls-files", "-z", "--cached", "--others") as listed:
            found = [path for path in entries_of(listed) if os.path.basename(path) == _OF_GIT]
        yield from (os.path.join(repository.path, os.fsdecode(path)) for path in found)


def _number(text: str) -> int | None:
    """Read a number of copies; below 1 means 1, and what is no number says nothing."""
    try:
        return max(1, read_int(text))
    except ValueError:
        return None


def _mentions(paths: Iterable[str], words: tuple[bytes, ...]) -> bool:
    return any(_contains(path, lambda text: any(word in text for word in words)) for path in paths)


def _contains(path: str, test: Callable[[bytes], bool]) -> bool:
    try:
        with open(path, "rb") as file:
            return test(file.read())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
