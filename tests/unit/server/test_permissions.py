"""Every combination of options and credentials answers as the real server did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest

from shoal.p2phttp.codec import Credentials
from shoal.p2phttp.routes import BadRequest, Endpoint, Need
from shoal.server.permissions import (
    EVERYTHING,
    READ_ONLY,
    Denied,
    Permissions,
    anonymous_may,
    users_from_environment,
)

_FIXTURE = Path(__file__).parents[2] / "fixtures" / "p2p" / "http-permissions.json"
_USERS = {
    "none": None,
    "alice": Credentials("alice", "sesame"),
    "alice with a wrong password": Credentials("alice", "wrong"),
    "ro": Credentials("ro", "ropw"),
    "ao": Credentials("ao", "aopw"),
}
_NEEDS = {endpoint.path: endpoint.need for endpoint in Endpoint}


class Row(TypedDict):
    options: list[str]
    user: str
    status: dict[str, int]


def _fixture() -> tuple[dict[str, str], list[Row]]:
    data = json.loads(_FIXTURE.read_text())
    return data["environment"], data["rows"]


def _permissions(options: list[str], environment: dict[str, str]) -> Permissions:
    login = {"--authenv", "--authenv-http"} & set(options)
    return Permissions(
        anonymous_may(
            readonly="--unauth-readonly" in options,
            appendonly="--unauth-appendonly" in options,
            nolocking="--unauth-nolocking" in options,
            wideopen="--wideopen" in options,
        ),
        users_from_environment(environment) if login else None,
        plain_http="--authenv-http" in options,
    )


def _status(
    permissions: Permissions, need: Need, given: Credentials | None, *, encrypted: bool = False
) -> int:
    try:
        header = None if given is None else given.header()
        permissions.check(need, header, encrypted=encrypted)
    except Denied as error:
        return error.status
    return 200


def _intended(row: Row, endpoint: str, status: int) -> int:
    """--unauth-nolocking has no effect next to --unauth-appendonly in the real program."""
    ineffective = {"--unauth-appendonly", "--unauth-nolocking"} <= set(row["options"])
    return 403 if ineffective and _need(endpoint) is Need.LOCK else status


def _need(endpoint: str) -> Need:
    return Need.READ if "key" in endpoint.split("(")[0].split("/") else _NEEDS[endpoint]


def _name(row: Row) -> str:
    return f"{' '.join(row['options']) or 'no options'}, {row['user']}"


@pytest.mark.parametrize("row", _fixture()[1], ids=_name)
def test_status_of_every_endpoint(row: Row) -> None:
    permissions = _permissions(row["options"], _fixture()[0])
    given = _USERS[row["user"]]
    expected = {e: _intended(row, e, status) for e, status in row["status"].items()}
    assert {e: _status(permissions, _need(e), given) for e in expected} == expected


def test_the_table_covers_all_endpoints() -> None:
    endpoints = set(_fixture()[1][0]["status"])
    assert endpoints == {"key(generic)", "v4/key", *_NEEDS} - {"key"}


def test_authenv_lets_users_in_over_tls_only() -> None:
    permissions = _permissions(["--authenv"], _fixture()[0])
    alice = _USERS["alice"]
    assert _status(permissions, Need.REMOVE, alice, encrypted=True) == 200
    assert _status(permissions, Need.REMOVE, alice, encrypted=False) == 401


def test_a_password_may_hold_colons_and_any_bytes() -> None:
    users = users_from_environment({"GIT_ANNEX_P2PHTTP_PASSWORD_bob": "a:b:\udcff"})
    permissions = Permissions(users=users, plain_http=True)
    assert _status(permissions, Need.READ, Credentials("bob", "a:b:\udcff")) == 200
    assert _status(permissions, Need.READ, Credentials("bob", "a:b")) == 401


def test_an_unknown_user_is_not_let_in_with_an_empty_password() -> None:
    permissions = Permissions(users={}, plain_http=True)
    assert _status(permissions, Need.READ, Credentials("eve", "")) == 401


def test_an_unknown_permission_gives_the_least() -> None:
    environment = {
        "GIT_ANNEX_P2PHTTP_PASSWORD_bob": "x",
        "GIT_ANNEX_P2PHTTP_PERMISSIONS_bob": "readwrite",
    }
    assert users_from_environment(environment)["bob"].may == READ_ONLY


def test_passwords_do_not_show() -> None:
    users = users_from_environment({"GIT_ANNEX_P2PHTTP_PASSWORD_bob": "hunter2"})
    assert "hunter2" not in repr(users)


@pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic !!!", "Basic bm9jb2xvbg=="])
def test_a_header_that_cannot_be_read(header: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Permissions(EVERYTHING).check(Need.READ, header, encrypted=False)
    assert caught.value.status == 400
    assert str(caught.value) == (
        "Error parsing header Authorization failed: invalid basic auth header"
    )
