"""What --debug shows on standard error: processes and requests, as they begin and end.

    [2026-11-22 16:11:38.532816882] (git.process) [7678] git ls-files --stage

Nothing is shown, and next to nothing is done, until enable() is called. The setting is one for
the whole process, as standard error is.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection

_names: frozenset[str] | None = None  # of the sources to show; None: nothing is shown
_ALL = ""


def enable(names: Collection[str] = ()) -> None:
    """Show messages from now on: those of the sources with these `names`, or all.

    A name such as `git` stands for `git.process` too.
    """
    global _names
    _names = frozenset(names) or frozenset({_ALL})


def disable() -> None:
    """Show nothing from now on."""
    global _names
    _names = None


def is_enabled() -> bool:
    """Tell whether anything may be shown."""
    return _names is not None


def is_shown(source: str) -> bool:
    """Tell whether messages of `source` are shown: ask before making one is a lot of work."""
    if _names is None:
        return False
    return bool(_names & {_ALL, source, source.partition(".")[0]})


def say(source: str, text: str) -> None:
    """Show a message, if those of `source` are shown."""
    if not is_shown(source):
        return
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    line = f"[{at}.{nanoseconds:09}] ({source}) {text}\n"
    sys.stderr.flush()
    os.write(sys.stderr.fileno(), line.encode("utf-8", "surrogateescape"))
