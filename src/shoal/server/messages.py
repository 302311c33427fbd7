"""What the server says: one line on stderr for its operator, one sentence for a client.

What clients are told names no path of this machine: the cause of an error often has one.
"""

from __future__ import annotations

import errno
import os
import re
import sys

from shoal.errors import (
    ContentLocked,
    KeyNotPresent,
    NotEnoughSpace,
    RemoteUnavailable,
    ShoalError,
    TransferInProgress,
)
from shoal.p2phttp.routes import status_of

_PATH = re.compile(r"(?:(?<=^)|(?<=[\s'\"(=,;]))/[^\s'\":;,)]+")
_LONGEST_REASON = 200
_FULL = {errno.ENOSPC, errno.EDQUOT}


def complain(text: str) -> None:
    """Tell the operator."""
    line = f"shoal: {text}\n".encode("utf-8", "surrogateescape")
    sys.stderr.buffer.write(line)
    sys.stderr.buffer.flush()


def complain_of(what: str, error: ShoalError | OSError) -> None:
    """Tell the operator what a request failed with; that a key is missing is no failure."""
    if not isinstance(error, KeyNotPresent):
        complain(f"{what[:500]}: {error}")


def public_status(error: ShoalError | OSError) -> int:
    """Give the HTTP status that tells a client of `error`: the real client shows it to its
    user as `STATUS REASON`, and nothing else of the answer."""
    match error:
        case OSError():
            return 507 if error.errno in _FULL else 500
        case ContentLocked():
            return 423
        case TransferInProgress():
            return 409
        case NotEnoughSpace():
            return 507
        case _:
            return status_of(error)


def public_reason(error: ShoalError | OSError) -> str | None:
    """Give what to say beside the status; None: what is usual for it. Without space, users
    need to know whose."""
    if not isinstance(error, NotEnoughSpace):
        return None
    text = public_text(error).encode("ascii", "replace").decode("ascii")[:_LONGEST_REASON]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def public_text(error: ShoalError | OSError) -> str:
    """Give one sentence about `error` that anybody may read."""
    match error:
        case OSError():
            return f"the server could not do that ({os.strerror(error.errno or errno.EIO)})"
        case RemoteUnavailable():
            return f'remote "{error.remote}" is not available'
        case _:
            return without_paths(str(error))


def without_paths(text: str) -> str:
    """Give the first line of a message, without the paths in it."""
    return _PATH.sub("(path)", text.partition("\n")[0])
