"""Globs, matched as the real program matches them: as POSIX extended regular expressions.

`*` runs over slashes and leading dots, `?` is any character, `[…]` is a bracket expression with
`!` or `^` for "none of". In globs for file names a `/` stands for one or more slashes and a
backslash for one or more backslashes: nothing escapes. Letters and digits are themselves.
Every other character is escaped on its way into the regular expression, which has odd effects
that are kept, because clients and gateways must decide alike (verified with git-annex
10.20261026):

* the first `]` after a `[` ends the glob's class; what follows is escaped again, so `[]a]*` is
  the regular expression `[]a\\].*` and matches a first `]`, `a`, or backslash;
* an escaped `'` is the end of the text, a backquote its start, `<` and `>` are the ends of a word;
* a name with newlines matches when one of its lines does.

A glob that makes no regular expression (`[a`, `[z-a]`) ends or hangs the real program; here it
matches nothing.
"""

from __future__ import annotations

import re
import string
from functools import lru_cache

_WORD_CHAR = "[A-Za-z0-9_]"
_ANCHORS = {
    "'": r"\Z",
    "`": r"\A",
    "<": f"(?<!{_WORD_CHAR})(?={_WORD_CHAR})",
    ">": f"(?<={_WORD_CHAR})(?!{_WORD_CHAR})",
}
_CLASSES = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, (*range(32), 127))),
    "digit": string.digits,
    "graph": string.ascii_letters + string.digits + string.punctuation,
    "lower": string.ascii_lowercase,
    "print": string.ascii_letters + string.digits + string.punctuation + " ",
    "punct": string.punctuation,
    "space": string.whitespace,
    "upper": string.ascii_uppercase,
    "word": string.ascii_letters + string.digits + "_",
    "xdigit": string.hexdigits,
}
_NAMED_CLASS = re.compile(r"\[:([^:\]]+):\]")
_NAMED_CHAR = re.compile(r"\[=([^=\]]+)=\]|\[\.([^.\]]+)\.\]")


def glob_matches(glob: str, name: str, *, ignore_case: bool = False, file: bool = True) -> bool:
    """Tell whether `name` matches. `file`: slashes and backslashes stand for runs of them."""
    pattern = _compiled(glob, ignore_case, file)
    return pattern is not None and pattern.search(name) is not None


def is_valid_glob(glob: str, *, file: bool = True) -> bool:
    """Tell whether the glob can match anything: false for unclosed and empty classes."""
    return _compiled(glob, False, file) is not None


@lru_cache(maxsize=1024)
def _compiled(glob: str, ignore_case: bool, file: bool) -> re.Pattern[str] | None:
    try:
        body = _python_regex(_posix_regex(glob, file))
    except ValueError:
        return None
    return re.compile(f"^{body}$", re.MULTILINE | (re.IGNORECASE if ignore_case else 0))


def _posix_regex(glob: str, file: bool) -> str:
    """Give the POSIX regular expression of a glob, without its anchors."""
    out: list[str] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "[":
            start = at + 1 if glob[at : at + 1] == "!" else at
            end = glob.find("]", start)
            end = len(glob) if end < 0 else end + 1
            out += ["[^" if start > at else "[", glob[start:end]]
            at = end
        elif char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif file and char in "/\\":
            out.append(f"[{char}]+")
        else:
            plain = char.isalpha() or char in string.digits
            out.append(char if plain else f"\\{char}")
    return "".join(out)


def _python_regex(posix: str) -> str:
    """Translate what _posix_regex() makes. Raises ValueError when POSIX would not take it.

    Runs are lazy, and each piece between two `*` is taken where it first fits and kept: that
    finds every match, and no glob takes more than the product of its length and the name's.
    """
    pieces: list[list[str]] = [[]]
    at = 0
    while at < len(posix):
        if posix.startswith(".*", at):
            pieces.append([])
            at += 2
            continue
        if posix[at] == "[":
            atom, at = _bracket(posix, at + 1)
        elif posix[at] == "\\":
            atom, at = _escaped(posix[at + 1]), at + 2
        else:
            atom, at = (posix[at] if posix[at] == "." else re.escape(posix[at])), at + 1
        if posix[at : at + 1] == "+":  # only after the classes of slashes and backslashes
            atom, at = f"{atom}+?", at + 1
        pieces[-1].append(atom)
    first, *others = ("".join(piece) for piece in pieces)
    if not others:
        return first
    *middle, last = others
    return f"(?>{first}){''.join(f'(?>.*?{piece})' for piece in middle if piece)}.*{last}"


def _escaped(char: str) -> str:
    return _ANCHORS.get(char) or re.escape(char)


def _bracket(posix: str, at: int) -> tuple[str, int]:
    """Read a bracket expression behind its `[`: its Python form, and where it ends."""
    negated = posix[at : at + 1] == "^"
    at += negated
    members: list[str] = []
    start = at
    while posix[at : at + 1] != "]" or at == start:
        if at >= len(posix):
            raise ValueError(f"class without an end: {posix}")
        if at == start and posix[at] == "]":
            members.append("\\]")
            at += 1
        elif found := _NAMED_CLASS.match(posix, at):
            members.append(re.escape(_CLASSES.get(found[1], "")))
            at = found.end()
        elif found := _NAMED_CHAR.match(posix, at):
            members.append(re.escape(found[1]) if found[1] and len(found[1]) == 1 else "")
            at = found.end()
        elif posix[at + 1 : at + 2] == "-" and posix[at + 2 : at + 3] not in ("", "]"):
            if posix[at] > posix[at + 2]:
                raise ValueError(f"range from high to low: {posix}")
            members.append(f"{re.escape(posix[at])}-{re.escape(posix[at + 2])}")
            at += 3
        else:
            members.append(re.escape(posix[at]))
            at += 1
    inside = "".join(members)
    if negated:
        return f"[^{inside}\\n]", at + 1
    return (f"[{inside}]" if inside else "(?!)"), at + 1
