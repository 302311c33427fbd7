"""Which requests are git's, and what clients are told of a repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shoal.p2phttp.gitroutes import (
    GitRequest,
    Service,
    annex_url,
    parse_git_request,
    render_config,
)
from shoal.p2phttp.routes import BadRequest, Need
from shoal.values.uuid import UUID

_UUID = UUID("11111111-1111-4111-8111-111111111111")


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        (
            "GET",
            "/info/refs?service=git-upload-pack",
            GitRequest("", Service.UPLOAD_PACK, is_advertisement=True),
        ),
        (
            "GET",
            "/a/b.git/info/refs?service=git-receive-pack",
            GitRequest("a/b.git", Service.RECEIVE_PACK, is_advertisement=True),
        ),
        ("POST", "/git-upload-pack", GitRequest("", Service.UPLOAD_PACK)),
        ("POST", "//a%20b//git-receive-pack", GitRequest("a b", Service.RECEIVE_PACK)),
        ("GET", "/config", GitRequest("", None)),
        ("GET", "//config", GitRequest("", None)),  # a URL that ends with a slash
        ("HEAD", "/x/config", GitRequest("x", None)),
        ("GET", "/", None),
        ("GET", "/objects/info/packs", None),
        ("GET", "/HEAD", None),
        ("GET", "/git-annex/config", None),
        ("POST", "/git-annex/git-upload-pack", None),
    ],
)
def test_requests(method: str, target: str, expected: GitRequest | None) -> None:
    path, _, query = target.partition("?")
    assert parse_git_request(method, path, query) == expected


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/info/refs", 403),  # the dumb protocol
        ("GET", "/info/refs?service=git-shell", 403),
        ("POST", "/info/refs?service=git-upload-pack", 405),
        ("GET", "/git-upload-pack", 405),
        ("PUT", "/config", 405),
        ("GET", "/../config", 404),
        ("GET", "/a/%2e%2e/config", 404),
        ("GET", "/a%2Fb/config", 404),
        ("GET", "/a%00/config", 404),
        ("GET", "/./config", 404),
    ],
)
def test_requests_that_are_refused(method: str, target: str, status: int) -> None:
    path, _, query = target.partition("?")
    with pytest.raises(BadRequest) as caught:
        parse_git_request(method, path, query)
    assert caught.value.status == status


def test_who_may_not_remove_may_not_push() -> None:
    needs = {
        target: parsed.need
        for target in ("/git-upload-pack", "/git-receive-pack")
        if (parsed := parse_git_request("POST", target, ""))
    }
    assert needs == {"/git-upload-pack": Need.READ, "/git-receive-pack": Need.REMOVE}
    pushing = parse_git_request("GET", "/info/refs", "service=git-receive-pack")
    assert pushing is not None
    assert pushing.need is Need.REMOVE


@pytest.mark.parametrize(
    ("host", "encrypted", "expected"),
    [
        ("gateway:9417", False, "annex+http://gateway:9417/git-annex/"),
        ("gateway", False, "annex+http://gateway:80/git-annex/"),  # git-annex's default is 9417
        ("gateway", True, "annex+https://gateway:443/git-annex/"),
        ("[::1]:9417", True, "annex+https://[::1]:9417/git-annex/"),
        ("a b", False, None),
        ("x/../y", False, None),
        ('x"', False, None),
        ("x\nurl = y", False, None),
        ("", False, None),
        (None, False, None),
    ],
)
def test_the_address_that_a_client_is_told(
    host: str | None, encrypted: bool, expected: str | None
) -> None:
    assert annex_url(host, encrypted=encrypted) == expected


def test_git_reads_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config"
    url = 'annex+http://h:1/"x"\\y\n[core]'
    file.write_bytes(render_config(_UUID, is_bare=True, url=url))
    words = ["git", "config", "--null", "--list", "--file", str(file)]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\0")
    assert told == ["core.bare\ntrue", f"annex.uuid\n{_UUID}", f"annex.url\n{url}", ""]
    assert b"url" not in render_config(_UUID, is_bare=False, url=None)
