"""The groups that have a preferred content of their own, and what it is.

Source: git-annex's page "standard groups"; the expressions are part of the format, so that
every program wants the same.
"""

from __future__ import annotations

from collections.abc import Collection

_CLIENT = (
    "(include=* and ((exclude=*/archive/* and exclude=archive/*) or "
    "(not (copies=archive:1 or copies=smallarchive:1)))) or approxlackingcopies=1"
)
_ARCHIVE = "(not (copies=archive:1 or copies=smallarchive:1)) or approxlackingcopies=1"

STANDARD_GROUPS = {
    "client": _CLIENT,
    "transfer": (
        f"(not (inallgroup=client and copies=client:2) and ({_CLIENT})) or approxlackingcopies=1"
    ),
    "backup": "anything",
    "incrementalbackup": (
        "((not copies=backup:1) and (not copies=incrementalbackup:1)) or approxlackingcopies=1"
    ),
    "smallarchive": (
        f"((include=*/archive/* or include=archive/*) and ({_ARCHIVE})) or approxlackingcopies=1"
    ),
    "archive": _ARCHIVE,
    "source": "not (copies=1)",
    "manual": f"present and ({_CLIENT})",
    "public": "inpreferreddir",
    "unwanted": "not anything",
}


def standard_expression(groups: Collection[str]) -> str | None:
    """Give the expression of the one standard group among `groups`; None for none or several."""
    found = [STANDARD_GROUPS[group] for group in groups if group in STANDARD_GROUPS]
    return found[0] if len(found) == 1 else None
