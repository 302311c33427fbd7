"""P2P protocol messages as data; nothing here reads, writes or waits.

Wire form: VERB, fields split at one white space character each, LF. The last field keeps the
rest of the line. `bytes(message)` is the line with its LF; parsing.py reads one, with parse() of
the message that it is.
Source: git-annex's P2P protocol design page; bytes checked against git-annex 10.20261026
(golden sessions in tests/fixtures/p2p).
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from shoal.p2p.fields import SPACE, read_count, read_integer
from shoal.values.associated import escape_associated, parse_associated
from shoal.values.key import Key
from shoal.values.record import record
from shoal.values.uuid import UUID, parse_uuid, uuid_bytes

NEWEST_VERSION = 4
MAX_LINE = 32 * 1024
"""A line this long, LF not counted, ends the connection."""
SERVICES = (b"git-upload-pack", b"git-receive-pack")

_TOKEN = re.compile(rb"[a-z0-9]*")


@record
class _Plain:
    """A message without parameters."""

    verb: ClassVar[bytes] = b""

    @classmethod
    def parse(cls, rest: bytes) -> Self:
        if rest:
            raise ValueError("a parameter too many")
        return cls()

    def __bytes__(self) -> bytes:
        return self.verb + b"\n"


@record
class _OfKey:
    """A message about a key, and nothing else."""

    verb: ClassVar[bytes] = b""
    key: Key

    @classmethod
    def parse(cls, key: bytes) -> Self:
        return cls(Key.parse(key))

    def __bytes__(self) -> bytes:
        return b"%s %s\n" % (self.verb, bytes(self.key))


@record
class _WithUUIDs:
    """A message with a list of UUIDs, which may be empty."""

    verb: ClassVar[bytes] = b""
    uuids: tuple[UUID, ...]

    @classmethod
    def parse(cls, rest: bytes) -> Self:
        return cls(tuple(parse_uuid(word) for word in SPACE.split(rest) if word))

    def __bytes__(self) -> bytes:
        return b" ".join([self.verb, *map(uuid_bytes, self.uuids)]) + b"\n"


@record
class Auth:
    """A client on a socket shows its token. Answer: AuthSuccess or AuthFailure."""

    client: UUID  # empty when it has none: git in a repository without an annex
    token: bytes  # lower case letters and digits; never shown by repr()

    @classmethod
    def parse(cls, rest: bytes) -> Auth:
        client, *words = SPACE.split(rest, 1)
        token = words[0] if words else b""
        if not _TOKEN.fullmatch(token.lower()):
            raise ValueError("a token has letters and digits only")
        has_none = words and not client
        return cls(UUID("") if has_none else parse_uuid(client), token.lower())

    def __bytes__(self) -> bytes:
        return b"AUTH %s %s\n" % (uuid_bytes(self.client), self.token)

    def __repr__(self) -> str:
        return f"Auth({self.client!r}, …)"


@record
class AuthSuccess:
    """The session begins; `server` is the repository that is served."""

    server: UUID

    @classmethod
    def parse(cls, server: bytes) -> AuthSuccess:
        return cls(parse_uuid(server))

    def __bytes__(self) -> bytes:
        return b"AUTH-SUCCESS %s\n" % uuid_bytes(self.server)


@record
class Version:
    """Client: the newest version that I speak; server: the version that we speak from now on."""

    number: int

    @classmethod
    def parse(cls, number: bytes) -> Version:
        return cls(read_count(number))

    def __bytes__(self) -> bytes:
        return b"VERSION %d\n" % self.number


class Bypass(_WithUUIDs):
    """Gateways that must not be asked again. No answer."""

    __slots__ = ()
    verb = b"BYPASS"


class CheckPresent(_OfKey):
    """Is the content there? Answer: Success, Failure, or Error when that is not known."""

    __slots__ = ()
    verb = b"CHECKPRESENT"


class LockContent(_OfKey):
    """Let nobody remove the content until my next message. Answer: Success or Failure."""

    __slots__ = ()
    verb = b"LOCKCONTENT"


class Remove(_OfKey):
    """Remove the content. Answer: Success, Failure, their -PLUS forms, or Error."""

    __slots__ = ()
    verb = b"REMOVE"


@record
class RemoveBefore:
    """Remove, but only while the server's clock is before `time` (whole seconds)."""

    time: int
    key: Key

    @classmethod
    def parse(cls, time: bytes, key: bytes) -> RemoveBefore:
        return cls(read_integer(time), Key.parse(key))

    def __bytes__(self) -> bytes:
        return b"REMOVE-BEFORE %d %s\n" % (self.time, bytes(self.key))


@record
class Timestamp:
    """The server's monotonic clock, in whole seconds."""

    time: int

    @classmethod
    def parse(cls, time: bytes) -> Timestamp:
        return cls(read_integer(time))

    def __bytes__(self) -> bytes:
        return b"TIMESTAMP %d\n" % self.time


@record
class Get:
    """Send the content of `key` from byte `offset` on. Answer: Data, the bytes, and from
    version 1 on Valid or Invalid; then the client says Success or Failure."""

    offset: int
    file: bytes  # associated file: a relative path, b"" for none
    key: Key

    @classmethod
    def parse(cls, offset: bytes, file: bytes, key: bytes) -> Get:
        return cls(read_count(offset), parse_associated(file), Key.parse(key))

    def __bytes__(self) -> bytes:
        return b"GET %d %s %s\n" % (self.offset, escape_associated(self.file), bytes(self.key))


@record
class Put:
    """I want to send the content of `key`. Answer: PutFrom, AlreadyHave(Plus) or Error."""

    file: bytes  # associated file: a relative path, b"" for none
    key: Key

    @classmethod
    def parse(cls, file: bytes, key: bytes) -> Put:
        return cls(parse_associated(file), Key.parse(key))

    def __bytes__(self) -> bytes:
        return b"PUT %s %s\n" % (escape_associated(self.file), bytes(self.key))


@record
class PutFrom:
    """Send the content from byte `offset` on."""

    offset: int

    @classmethod
    def parse(cls, offset: bytes) -> PutFrom:
        return cls(read_count(offset))

    def __bytes__(self) -> bytes:
        return b"PUT-FROM %d\n" % self.offset


class AlreadyHavePlus(_WithUUIDs):
    """No need to send: these repositories have the content already."""

    __slots__ = ()
    verb = b"ALREADY-HAVE-PLUS"


@record
class Data:
    """Exactly `length` bytes follow, and then the next line at once."""

    length: int

    @classmethod
    def parse(cls, length: bytes) -> Data:
        return cls(read_count(length))

    def __bytes__(self) -> bytes:
        return b"DATA %d\n" % self.length


class SuccessPlus(_WithUUIDs):
    """Done; these repositories stored or removed the content."""

    __slots__ = ()
    verb = b"SUCCESS-PLUS"


class FailurePlus(_WithUUIDs):
    """Failed; all the same these repositories stored or removed the content."""

    __slots__ = ()
    verb = b"FAILURE-PLUS"


@record
class Connect:
    """Let me talk with a git service. Answer: Data messages, then ConnectDone."""

    service: bytes  # one of SERVICES

    @classmethod
    def parse(cls, service: bytes) -> Connect:
        if service not in SERVICES:
            raise ValueError("not a git service")
        return cls(service)

    def __bytes__(self) -> bytes:
        return b"CONNECT %s\n" % self.service


@record
class ConnectDone:
    """The git service has ended with this exit code."""

    code: int

    @classmethod
    def parse(cls, code: bytes) -> ConnectDone:
        return cls(read_integer(code))

    def __bytes__(self) -> bytes:
        return b"CONNECTDONE %d\n" % self.code


@record
class Changed:
    """Refs have changed: their new object ids."""

    objects: tuple[bytes, ...]

    @classmethod
    def parse(cls, rest: bytes) -> Changed:
        return cls(tuple(word for word in SPACE.split(rest) if word))

    def __bytes__(self) -> bytes:
        return b" ".join([b"CHANGED", *self.objects]) + b"\n"


@record
class Error:
    """It failed, for this reason. As a request: the sender gives up."""

    text: str = ""

    @classmethod
    def parse(cls, text: bytes) -> Error:
        return cls(text.decode("utf-8", "surrogateescape"))

    def __bytes__(self) -> bytes:
        text = self.text.encode("utf-8", "surrogateescape")[: MAX_LINE // 2]
        return b"ERROR %s\n" % re.sub(rb"[\r\n]+", b" ", text)


class AuthFailure(_Plain):
    """The token is wrong; another may be tried."""

    __slots__ = ()
    verb = b"AUTH-FAILURE"


class UnlockContent(_Plain):
    """The lock is not needed any more. No answer."""

    __slots__ = ()
    verb = b"UNLOCKCONTENT"


class GetTimestamp(_Plain):
    """What does your clock say? Answer: Timestamp."""

    __slots__ = ()
    verb = b"GETTIMESTAMP"


class AlreadyHave(_Plain):
    """No need to send: the content is there already."""

    __slots__ = ()
    verb = b"ALREADY-HAVE"


class DataPresent(_Plain):
    """In place of Data (version 4): the content has come another way, look."""

    __slots__ = ()
    verb = b"DATA-PRESENT"


class Valid(_Plain):
    """The data just sent did not change while it was read."""

    __slots__ = ()
    verb = b"VALID"


class Invalid(_Plain):
    """The data just sent cannot be trusted."""

    __slots__ = ()
    verb = b"INVALID"


class Success(_Plain):
    """Yes, or done."""

    __slots__ = ()
    verb = b"SUCCESS"


class Failure(_Plain):
    """No, or not done."""

    __slots__ = ()
    verb = b"FAILURE"


class NotifyChange(_Plain):
    """Tell me when refs change. Answer, some time: Changed."""

    __slots__ = ()
    verb = b"NOTIFYCHANGE"


Message = (
    Auth | AuthSuccess | AuthFailure | Version | Bypass | CheckPresent | LockContent
    | UnlockContent | Remove | RemoveBefore | GetTimestamp | Timestamp | Get | Put | PutFrom
    | AlreadyHave | AlreadyHavePlus | Data | DataPresent | Valid | Invalid | Success | Failure
    | SuccessPlus | FailurePlus | Connect | ConnectDone | NotifyChange | Changed | Error
)  # fmt: skip
