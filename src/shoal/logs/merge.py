"""Union merge: how two versions of a file on the git-annex branch become one.

No common ancestor is looked at, and nothing is ever deleted by a merge. Every file of the
branch is merged like this, known or not. Source: branch-merge vectors of git-annex
10.20261026.
"""

from __future__ import annotations


def union_merge(ours: bytes, theirs: bytes) -> bytes:
    """Give all lines of both, compared as bytes, sorted and without duplicates.

    A side that already has exactly these lines is given back as it is, in its own order and
    with its duplicates; when both sides do, `theirs` (the one being merged in).
    """
    their_lines, our_lines = _lines(theirs), _lines(ours)
    union = their_lines | our_lines
    if union == their_lines:
        return theirs
    if union == our_lines:
        return ours
    return b"".join(line + b"\n" for line in sorted(union))


def _lines(blob: bytes) -> set[bytes]:
    """Split at LF only; a line keeps its CR, and an empty line is a line."""
    lines = blob.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return set(lines)
