"""Which message a line of the P2P protocol is."""

from __future__ import annotations

from collections.abc import Callable

from shoal.p2p.fields import SPACE
from shoal.p2p.messages import (
    AlreadyHave,
    AlreadyHavePlus,
    Auth,
    AuthFailure,
    AuthSuccess,
    Bypass,
    Changed,
    CheckPresent,
    Connect,
    ConnectDone,
    Data,
    DataPresent,
    Error,
    Failure,
    FailurePlus,
    Get,
    GetTimestamp,
    Invalid,
    LockContent,
    Message,
    NotifyChange,
    Put,
    PutFrom,
    Remove,
    RemoveBefore,
    Success,
    SuccessPlus,
    Timestamp,
    UnlockContent,
    Valid,
    Version,
)
from shoal.values.record import record


@record
class Unknown:
    """A line that does not parse. Not an exception: a server answers it and goes on."""

    line: bytes


# The protocol at a glance: verb -> how many fields (0: the parser wants the rest as it is,
# which may be empty), and what reads them.
_PARSERS: dict[bytes, tuple[int, Callable[..., Message]]] = {
    b"AUTH": (0, Auth.parse),
    b"AUTH-SUCCESS": (1, AuthSuccess.parse),
    b"AUTH-FAILURE": (0, AuthFailure.parse),
    b"VERSION": (1, Version.parse),
    b"BYPASS": (0, Bypass.parse),
    b"CHECKPRESENT": (1, CheckPresent.parse),
    b"LOCKCONTENT": (1, LockContent.parse),
    b"UNLOCKCONTENT": (0, UnlockContent.parse),
    b"REMOVE": (1, Remove.parse),
    b"REMOVE-BEFORE": (2, RemoveBefore.parse),
    b"GETTIMESTAMP": (0, GetTimestamp.parse),
    b"TIMESTAMP": (1, Timestamp.parse),
    b"GET": (3, Get.parse),
    b"PUT": (2, Put.parse),
    b"PUT-FROM": (1, PutFrom.parse),
    b"ALREADY-HAVE": (0, AlreadyHave.parse),
    b"ALREADY-HAVE-PLUS": (0, AlreadyHavePlus.parse),
    b"DATA": (1, Data.parse),
    b"DATA-PRESENT": (0, DataPresent.parse),
    b"VALID": (0, Valid.parse),
    b"INVALID": (0, Invalid.parse),
    b"SUCCESS": (0, Success.parse),
    b"FAILURE": (0, Failure.parse),
    b"SUCCESS-PLUS": (0, SuccessPlus.parse),
    b"FAILURE-PLUS": (0, FailurePlus.parse),
    b"CONNECT": (1, Connect.parse),
    b"CONNECTDONE": (1, ConnectDone.parse),
    b"NOTIFYCHANGE": (0, NotifyChange.parse),
    b"CHANGED": (0, Changed.parse),
    b"ERROR": (0, Error.parse),
}


def parse_line(line: bytes) -> Message | Unknown:
    """Parse one line, without its LF or CR LF."""
    verb, rest = [*SPACE.split(line, 1), b""][:2]
    if verb not in _PARSERS:
        return Unknown(line)
    count, parse = _PARSERS[verb]
    fields = SPACE.split(rest, count - 1) if count > 1 else [rest]
    if count > 1 and len(fields) != count:
        return Unknown(line)
    try:
        return parse(*fields)
    except ValueError:
        return Unknown(line)
