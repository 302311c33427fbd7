"""Expressions that match files in the work tree: annex.largefiles and annex.addunlocked.

They are written like preferred content expressions, and may ask for the file's name and size.
Source: git-annex's page "git-annex-matching-expression".
"""

from __future__ import annotations

from dataclasses import dataclass

from shoal.errors import ConfigError, ExpressionError
from shoal.preferred.expr import (
    And,
    Anywhere,
    Exclude,
    Expr,
    Include,
    LargerThan,
    Not,
    Or,
    SmallerThan,
    Term,
    Word,
)
from shoal.preferred.globs import glob_matches
from shoal.preferred.parse import parse


@dataclass(frozen=True, slots=True)
class FileMatcher:
    """An expression; `setting` is the name of where it comes from, for messages."""

    expr: Expr
    setting: str

    @classmethod
    def parse(cls, text: str, setting: str) -> FileMatcher:
        """Read an expression. Raises ConfigError when it asks for what is not known here."""
        try:
            matcher = cls(parse(text), setting)
        except ExpressionError as error:
            raise ConfigError(f"bad {setting}: {error}") from error
        matcher.matches("", 0)
        return matcher

    @property
    def is_empty(self) -> bool:
        """Whether there is no condition at all: as if it were not set."""
        return isinstance(self.expr, Anywhere)

    def matches(self, path: str, size: int) -> bool:
        """Tell whether a file matches: `path` from the work tree's top, `size` in bytes."""
        return self._matches(self.expr, path, size)

    def _matches(self, expr: Expr, path: str, size: int) -> bool:
        match expr:
            case Anywhere():
                return True
            case And(left, right):
                both = self._matches(left, path, size), self._matches(right, path, size)
                return all(both)
            case Or(left, right):
                either = self._matches(left, path, size), self._matches(right, path, size)
                return any(either)
            case Not(operand):
                return not self._matches(operand, path, size)
            case Term(word, test):
                match test:
                    case Word.ANYTHING:
                        return True
                    case Word.NOTHING:
                        return False
                    case Include(glob):
                        return glob_matches(glob, path)
                    case Exclude(glob):
                        return not glob_matches(glob, path)
                    case LargerThan(limit):
                        return size > limit
                    case SmallerThan(limit):
                        return size < limit
                raise ConfigError(f"bad {self.setting}: {word} cannot be used there")
        raise ConfigError(f"bad {self.setting}: {expr.word} cannot be used there")
