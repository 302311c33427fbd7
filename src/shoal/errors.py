"""The errors that shoal raises on purpose.

    ShoalError                     one clear sentence for the user; exit 1, no traceback
    ├── UsageError                 bad arguments
    ├── NotARepository             no git repository there, or not initialised for git-annex
    ├── NoSuchRemote               no remote of that name or UUID
    ├── ConfigError                a git config or branch value that cannot be used
    ├── ExpressionError            a preferred content expression that does not parse
    ├── RemoteError                a remote could not do what it was asked
    │   ├── RemoteUnavailable      no answer: whether it holds the key is unknown
    │   ├── KeyNotPresent          it said that it does not hold the key
    │   └── RemoteRefused          it said no (read-only, locked, failed), and why
    ├── ContentLocked              somebody holds the content lock, or its retention has not ended
    ├── ContentMismatch            bytes that are not the key's
    ├── NotEnoughSpace             the disk reserve would be touched
    ├── NotEnoughCopies            a drop without a drop proof
    ├── TransferInProgress         somebody else is receiving the key
    └── RemoteProtocolError        the peer broke the protocol: close the connection

A bug of our own is not in this tree: it is a `LocalProtocolError`, or any other exception,
and shows its traceback.
"""

from __future__ import annotations


class ShoalError(Exception):
    """Something went wrong that the user can understand.

    `str(error)` is one sentence: what was being done, to what, and the cause.
    `hint` says what to try, or is empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ShoalError):
    """The arguments of a command cannot be used."""


class NotARepository(ShoalError):
    """No git repository at a path, or one that is not initialised for git-annex."""


class NoSuchRemote(ShoalError):
    """No remote (or repository) has the given name or UUID."""

    def __init__(self, name: str) -> None:
        super().__init__(f'there is no available git remote named "{name}"')
        self.name = name


class ConfigError(ShoalError):
    """A value in git config or on the git-annex branch cannot be used."""


class ExpressionError(ShoalError):
    """A preferred content expression does not parse, or cannot be evaluated here."""


class RemoteError(ShoalError):
    """A remote could not do what it was asked."""


class RemoteUnavailable(RemoteError):
    """No answer: whether the remote holds the key is unknown (never read it as "no")."""

    def __init__(self, remote: str, cause: str) -> None:
        super().__init__(f'remote "{remote}" is not available ({cause})')
        self.remote = remote
        self.cause = cause


class KeyNotPresent(RemoteError):
    """The remote said that it does not hold the key."""

    def __init__(self, remote: str, key: str) -> None:
        super().__init__(f'remote "{remote}" does not have the content of {key}')
        self.remote = remote
        self.key = key


class RemoteRefused(RemoteError):
    """The remote answered no, and perhaps said why."""


class ContentLocked(ShoalError):
    """The content lock is held by somebody, or its retention time has not ended."""

    def __init__(self, message: str = "content is locked") -> None:
        super().__init__(message)


class ContentMismatch(ShoalError):
    """Received bytes are not the content of their key."""

    def __init__(self, message: str = "Verification of content failed") -> None:
        super().__init__(message)


class NotEnoughSpace(ShoalError):
    """Storing the content would use the disk space that annex.diskreserve keeps free."""


class NotEnoughCopies(ShoalError):
    """Dropping would leave fewer verified copies than numcopies or mincopies ask for."""


class TransferInProgress(ShoalError):
    """Another process is receiving the same key."""

    def __init__(
        self, message: str = "transfer already in progress, or unable to take transfer lock"
    ) -> None:
        super().__init__(message)


class RemoteProtocolError(ShoalError):
    """The peer sent what the protocol does not allow: the connection must be closed."""


class LocalProtocolError(Exception):
    """We used the protocol wrongly: a bug of ours."""
