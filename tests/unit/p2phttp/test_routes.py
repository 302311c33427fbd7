"""Paths and parameters of the HTTP form."""

from __future__ import annotations

import pytest

from shoal.errors import (
    ContentLocked,
    KeyNotPresent,
    RemoteUnavailable,
    TransferInProgress,
    UsageError,
)
from shoal.p2phttp.routes import (
    BadRequest,
    Endpoint,
    Need,
    Request,
    base_url,
    is_annex_url,
    parse_request,
    render_target,
    status_of,
)
from shoal.values.key import Key
from shoal.values.uuid import UUID

SERVER = UUID("55555555-5555-4555-8555-555555555555")
CLIENT = UUID("cccccccc-0000-4000-8000-000000000001")
KEY = Key.parse(b"WORM-s3--a/b c")
TOP = f"/git-annex/{SERVER}"
KEY_AND_CLIENT = f"key=WORM-s3--a%2Fb%20c&clientuuid={CLIENT}"


def refused(method: str, path: str, query: str = "", data_length: str | None = None) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse_request(method, path, query, data_length)
    return caught.value


@pytest.mark.parametrize(
    "request_",
    [
        Request(Endpoint.KEY, SERVER, None, KEY),
        Request(Endpoint.KEY, SERVER, 2, KEY, CLIENT, file="a dir/é\udcff%", offset=5),
        Request(Endpoint.CHECK_PRESENT, SERVER, 0, KEY, CLIENT, bypass=(SERVER, CLIENT)),
        Request(Endpoint.LOCK_CONTENT, SERVER, 4, KEY, CLIENT),
        Request(Endpoint.KEEP_LOCKED, SERVER, 4, None, CLIENT, lock_id="[an id]"),
        Request(Endpoint.REMOVE, SERVER, 1, KEY, CLIENT),
        Request(Endpoint.REMOVE_BEFORE, SERVER, 3, KEY, CLIENT, timestamp=99),
        Request(Endpoint.GET_TIMESTAMP, SERVER, 3, None, CLIENT),
        Request(Endpoint.PUT, SERVER, 4, KEY, CLIENT, "f", 0, data_length=12),
        Request(Endpoint.PUT, SERVER, 4, KEY, CLIENT, data_present=True, data_length=0),
        Request(Endpoint.PUT_OFFSET, SERVER, 1, KEY, CLIENT),
    ],
)
def test_requests_go_round(request_: Request) -> None:
    path, _, query = render_target(request_).partition("?")
    length = None if request_.data_length is None else str(request_.data_length)
    assert parse_request(request_.endpoint.method, "/git-annex" + path, query, length) == request_


def test_every_word_may_be_wrapped() -> None:
    request = parse_request(
        "POST",
        "/git-annex/[NTU=]/v4/put/",
        "key=%5BV09STS0tYQ==%5D&clientuuid=[YQ==]&associatedfile=[YS9i]&bypass=b&bypass=[Yw==]",
        "0",
    )
    assert (request.server, request.key, request.client) == ("55", Key.parse(b"WORM--a"), "a")
    assert (request.file, request.bypass) == ("a/b", ("b", "c"))


def test_head_goes_where_get_goes() -> None:
    assert parse_request("HEAD", f"{TOP}/key/WORM--a", "").version is None
    assert parse_request("HEAD", f"{TOP}/v0/key/WORM--a", f"clientuuid={CLIENT}").protocol == 0


@pytest.mark.parametrize(
    "path",
    [
        "/", "", "/git-annex", "/git-annex/", TOP, f"{TOP}/", f"{TOP}/key", f"{TOP}/v4",
        f"{TOP}/v4/nosuch", f"/{TOP}/v4/checkpresent", f"{TOP}//v4/checkpresent",
        f"{TOP}/v4/checkpresent/x", f"{TOP}/v4/key/WORM--a/b", "/git-annex//v4/checkpresent",
        "/git-annex/%20/v4/checkpresent", "/git-annex/[!]/v4/checkpresent",
        f"{TOP}/v4/key/../checkpresent",
    ],
)  # fmt: skip
def test_other_paths_are_not_found(path: str) -> None:
    error = refused("POST", path, KEY_AND_CLIENT)
    assert (error.status, str(error)) == (404, "")


@pytest.mark.parametrize(
    "path", ["v5/checkpresent", "v0/putoffset", "v2/gettimestamp", "v2/remove-before", "v04/remove"]
)
def test_versions_without_the_endpoint_are_not_found(path: str) -> None:
    error = refused("POST", f"{TOP}/{path}", KEY_AND_CLIENT)
    assert (error.status, str(error)) == (404, "bad version")


def test_other_methods_are_told_which_to_use() -> None:
    assert refused("POST", f"{TOP}/key/WORM--a").allow == "GET, HEAD"
    error = refused("GET", f"{TOP}/v4/checkpresent", KEY_AND_CLIENT)
    assert (error.status, error.allow) == (405, "POST")


@pytest.mark.parametrize("offset", ["-1", "x", "", "1e3"])
def test_unusable_offsets(offset: str) -> None:
    error = refused("GET", f"{TOP}/v4/key/WORM--a", f"clientuuid={CLIENT}&offset={offset}")
    expected = "Error parsing query parameter offset failed: offset parse error"
    assert (error.status, str(error)) == (400, expected)


@pytest.mark.parametrize("word", ["notakey", "..%2F..%2Fetc%2Fpasswd", "WORM--a%0Ab", "WORM--%00"])
def test_path_tricks_are_no_keys(word: str) -> None:
    error = refused("GET", f"{TOP}/key/{word}")
    assert (error.status, str(error)) == (400, "key parse error")


def test_a_uuid_with_blanks_is_refused() -> None:
    error = refused("POST", f"{TOP}/v4/gettimestamp", "clientuuid=a%20b")
    assert (error.status, "UUID parse error" in str(error)) == (400, True)


def test_data_present_is_a_parameter_of_version_4() -> None:
    for version, present in ((4, True), (3, False)):
        query = f"{KEY_AND_CLIENT}&data-present=True"
        request = parse_request("POST", f"{TOP}/v{version}/put", query, "0")
        assert request.data_present is present
    assert not parse_request(
        "POST", f"{TOP}/v4/put", f"{KEY_AND_CLIENT}&data-present", "0"
    ).data_present
    assert refused("POST", f"{TOP}/v4/put", f"{KEY_AND_CLIENT}&data-present=yes", "0").status == 400


def test_names_that_are_not_relative_are_left_out() -> None:
    for name in ("%2Fetc%2Fpasswd", "a%00b"):
        query = f"{KEY_AND_CLIENT}&associatedfile={name}"
        assert parse_request("POST", f"{TOP}/v4/put", query, "0").file == ""


def test_plus_is_a_blank_in_parameters() -> None:
    query = f"key=WORM-s3--a%2Fb+c&clientuuid={CLIENT}"
    assert parse_request("POST", f"{TOP}/v4/checkpresent", query).key == KEY


def test_what_endpoints_need() -> None:
    needs = {endpoint.path: endpoint.need for endpoint in Endpoint}
    assert needs == {
        "key": Need.READ,
        "checkpresent": Need.READ,
        "gettimestamp": Need.READ,
        "put": Need.WRITE,
        "putoffset": Need.WRITE,
        "remove": Need.REMOVE,
        "remove-before": Need.REMOVE,
        "lockcontent": Need.LOCK,
        "keeplocked": Need.LOCK,
    }


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("annex+http://host/git-annex/", "http://host:9417/git-annex"),
        ("annex+https://host/git-annex", "https://host:9417/git-annex"),
        ("annex+http://host:80/", "http://host:80/git-annex"),
        ("annex+http://me:pw@host:80/a%20b/git-annex/", "http://host:80/a%20b/git-annex"),
        ("annex+http://[::1]:9/git-annex/", "http://[::1]:9/git-annex"),
    ],
)
def test_base_urls(url: str, base: str) -> None:
    assert is_annex_url(url)
    assert base_url(url) == base


@pytest.mark.parametrize(
    "url", ["http://host/", "annex+http://", "annex+http://h:x/", "annex+ftp://h/"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        base_url(url)


def test_statuses_of_errors() -> None:
    assert status_of(BadRequest(405)) == 405
    assert status_of(KeyNotPresent("r", "k")) == 404
    assert status_of(RemoteUnavailable("r", "gone")) == 502
    assert status_of(ContentLocked()) == status_of(TransferInProgress()) == 500
