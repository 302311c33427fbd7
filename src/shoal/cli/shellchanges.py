"""notifychanges of shoal-shell: tell a client which refs changed, as long as it listens.

    READY
    CHANGED SHA SHA ...

The first CHANGED, right after READY, names what refs there are: a client that was away sees
what it has missed. Afterwards each ref that changed has a line of its own: git-annex fetches only
when it knows none of the objects in a line. Source: git-annex-shell 10.20261026.
"""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

from shoal.errors import RemoteUnavailable

if TYPE_CHECKING:
    from shoal.git.repository import Repository


def notify_changes(repository: Repository) -> int:
    """Tell of changes on stdout until the client ends.

    Raises RemoteUnavailable then: the command has no other end.
    """
    from shoal.git.refwatch import PAUSE, RefWatch

    watch = RefWatch(repository)
    try:
        _say("READY")
        if watch.values:
            _say(f"CHANGED {' '.join(watch.values)}")
        while not _has_gone(PAUSE):
            for changed in watch.changes():
                _say(f"CHANGED {changed}")
    except BrokenPipeError:
        pass
    raise RemoteUnavailable("client", "it has ended the connection")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _has_gone(seconds: float) -> bool:
    """Wait; tell whether the client has ended its side. What else it says has no meaning."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    return bool(poll.poll(seconds * 1000)) and not os.read(0, 4096)
