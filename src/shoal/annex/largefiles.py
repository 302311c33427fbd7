"""Which files `add` puts into the annex, and which into git; and which stay unlocked.

annex.largefiles is looked for in git config, then in the file's git attributes, then on the
git-annex branch (as git-annex 10.20261026 does it); without any, every file is large. Files
and directories that begin with a dot go into git, unless annex.dotfiles is set.
annex.addunlocked is true, false or an expression.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from shoal.errors import ConfigError, ExpressionError
from shoal.git.config import parse_bool
from shoal.preferred.evaluate import Question, matches
from shoal.preferred.expr import (
    Anywhere,
    Exclude,
    Expr,
    Include,
    LargerThan,
    Not,
    SmallerThan,
    Term,
    Word,
    chain,
)
from shoal.preferred.lexer import quoted
from shoal.preferred.parse import parse
from shoal.values.key import Key

if TYPE_CHECKING:
    from shoal.annex.session import Session

LARGE_FILES = "annex.largefiles"
ADD_UNLOCKED = "annex.addunlocked"
DOT_FILES = "annex.dotfiles"
_ALLOWED_WORDS = frozenset({Word.ANYTHING, Word.NOTHING})


class LargeFiles:
    """Decides about files, given by their path from the top and their size in bytes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._config = session.repository.config
        self._logged = session.logs.config()

    def is_large(self, path: str, size: int, attribute: str | None) -> bool:
        """Tell whether a file belongs into the annex. `attribute` is its annex.largefiles.

        Raises ConfigError for an expression that cannot be used.
        """
        if (configured := self._config.get(LARGE_FILES)) is not None:
            return self._matches(configured, "git config", path, size)
        if attribute is not None:
            return self._matches(attribute, "gitattributes", path, size)
        if logged := self._logged.get(LARGE_FILES):
            return self._matches(logged, "git-annex branch", path, size)
        return True

    def is_unlocked(self, path: str, size: int) -> bool:
        """Tell whether a file stays unlocked when it is added. Raises ConfigError."""
        value = self._config.get(ADD_UNLOCKED)
        where = "git config"
        if value is None:
            value, where = self._logged.get(ADD_UNLOCKED) or "false", "git-annex branch"
        as_bool = parse_bool(value)
        if as_bool is not None:
            return as_bool
        return self._matches(value, where, path, size, ADD_UNLOCKED)

    @property
    def takes_dotfiles(self) -> bool:
        """Whether files that begin with a dot are treated as any other."""
        configured = self._config.find_bool(DOT_FILES)
        if configured is not None:
            return configured
        return parse_bool(self._logged.get(DOT_FILES) or "false") is True

    def _matches(
        self, text: str, where: str, path: str, size: int, name: str = LARGE_FILES
    ) -> bool:
        expr = _parsed(text, name, where)
        if isinstance(expr, Anywhere):
            return True
        facts = self._session.preferences.facts(Key(b"SHA256", b"", size), path)
        return matches(expr, Question(self._session.here, facts))


def is_dotfile(path: str) -> bool:
    """Tell whether a file, or a directory that it is in, begins with a dot."""
    return any(part.startswith(".") for part in path.split("/"))


@lru_cache
def _parsed(text: str, name: str, where: str) -> Expr:
    try:
        expr = parse(text)
        _check(expr)
    except ExpressionError as error:
        raise ConfigError(f"bad {name} configuration in {where}: {error}") from error
    return expr


def _check(expr: Expr) -> None:
    """Refuse terms that make no sense for a file that has no key yet."""
    first, connectives = chain(expr)
    if isinstance(first, Not):
        _check(first.operand)
    elif isinstance(first, Term):
        test = first.test
        is_of_files = isinstance(test, Include | Exclude | LargerThan | SmallerThan)
        if not is_of_files and test not in _ALLOWED_WORDS:
            raise ExpressionError(f"Parse failure: near {quoted(first.word)}")
    for node in connectives:
        _check(node.right)
