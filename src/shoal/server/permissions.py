"""Who may do what: decided once per request, before anything is touched.

Modes, in the order in which options win: --wideopen, --unauth-appendonly, --unauth-readonly;
a user that logs in has that user's mode and no other. Source: git-annex's man page of p2phttp,
and the table in tests/fixtures/p2p/http-permissions.json, made by git-annex 10.20261026. There
--unauth-nolocking has no effect next to --unauth-appendonly; here it does what the page says.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from shoal.errors import ShoalError
from shoal.p2phttp.codec import Credentials, parse_authorization
from shoal.p2phttp.routes import BadRequest, Need

READ_ONLY = frozenset({Need.READ})
APPEND_ONLY = frozenset({Need.READ, Need.WRITE, Need.LOCK})
EVERYTHING = frozenset(Need)

_PASSWORD = "GIT_ANNEX_P2PHTTP_PASSWORD_"
_PERMISSIONS = "GIT_ANNEX_P2PHTTP_PERMISSIONS_"
_MODES = {"readonly": READ_ONLY, "appendonly": APPEND_ONLY}


class Denied(ShoalError):
    """The request is not allowed: 401 when logging in could help, else 403."""

    def __init__(self, status: int) -> None:
        super().__init__("")
        self.status = status


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a password."""

    password: bytes = field(repr=False)
    may: frozenset[Need]


_NOBODY = User(b"", frozenset())


def users_from_environment(environment: Mapping[str, str]) -> dict[str, User]:
    """Give the users that the environment names, by name. An unknown permission means
    readonly: the real program takes it for full access."""
    users = {}
    for name, password in environment.items():
        if name.startswith(_PASSWORD):
            user = name.removeprefix(_PASSWORD)
            mode = environment.get(_PERMISSIONS + user)
            may = EVERYTHING if mode is None else _MODES.get(mode, READ_ONLY)
            users[user] = User(password.encode("utf-8", "surrogateescape"), may)
    return users


def anonymous_may(
    *, readonly: bool, appendonly: bool, nolocking: bool, wideopen: bool
) -> frozenset[Need]:
    """Give what unauthenticated clients may do."""
    if wideopen:
        return EVERYTHING
    lock = frozenset() if nolocking else frozenset({Need.LOCK})
    if appendonly:
        return APPEND_ONLY - {Need.LOCK} | lock
    return READ_ONLY | lock if readonly else frozenset()


@dataclass(frozen=True, slots=True)
class Permissions:
    """`anonymous` is what everybody may do. `users` may log in, over plain HTTP only when
    `plain_http`; None: nobody can log in."""

    anonymous: frozenset[Need] = frozenset()
    users: Mapping[str, User] | None = None
    plain_http: bool = False

    def check(self, need: Need, authorization: str | None, *, encrypted: bool) -> str | None:
        """Let the request pass; give the name of who logged in, None for nobody.

        Raises Denied; BadRequest when the header cannot be read.
        """
        given = None if authorization is None else _read(authorization)
        user = self._login(given, encrypted)
        if need in (self.anonymous if user is None else user.may):
            return None if user is None or given is None else given.user
        if user is None and not self.anonymous:
            raise Denied(401)
        raise Denied(401 if self.users is not None and given is None else 403)

    def _login(self, given: Credentials | None, encrypted: bool) -> User | None:
        """Give the user whose password was given, in a time that tells nothing."""
        if given is None or self.users is None or not (encrypted or self.plain_http):
            return None
        user = self.users.get(given.user, _NOBODY)
        password = given.password.encode("utf-8", "surrogateescape")
        same = hmac.compare_digest(user.password, password)
        return user if same and user is not _NOBODY else None


def _read(authorization: str) -> Credentials:
    try:
        return parse_authorization(authorization)
    except ValueError as error:
        raise BadRequest(400, f"Error parsing header Authorization failed: {error}") from None
