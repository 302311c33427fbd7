"""URLs and equivalent keys."""

from __future__ import annotations

import pytest

from shoal.logs import equivalent, web
from shoal.logs.web import Downloader
from shoal.values.clock import clock_from_seconds
from shoal.values.key import Key

_NOW = clock_from_seconds(100)


@pytest.mark.parametrize(
    ("logged", "url", "downloader"),
    [
        (b"http://x/", b"http://x/", Downloader.WEB),
        (b"yt:http://x/", b"http://x/", Downloader.YOUTUBE),
        (b"quvi:http://x/", b"http://x/", Downloader.YOUTUBE),
        (b":ipfs:abc", b"ipfs:abc", Downloader.OTHER),
        (b"odd", b"odd", Downloader.WEB),
        (b"yt", b"yt", Downloader.WEB),
    ],
)
def test_who_downloads_a_url(logged: bytes, url: bytes, downloader: Downloader) -> None:
    assert web.split_downloader(logged) == (url, downloader)
    assert web.is_web(logged) is (downloader is not Downloader.OTHER)


def test_urls_come_and_go() -> None:
    log = web.add(b"", b"http://b/", _NOW)
    assert log is not None
    assert web.add(log, b"http://b/", _NOW) is None
    log = web.add(log, b"http://a/", _NOW)
    assert log is not None
    assert web.parse(log) == [b"http://a/", b"http://b/"]
    assert web.remove(log, b"http://c/", _NOW) is None
    log = web.remove(log, b"http://b/", _NOW)
    assert log == b"100s 1 http://a/\n101s 0 http://b/\n"
    with pytest.raises(ValueError, match="single line"):
        web.add(log, b"http://a\n/", _NOW)


def test_where_the_logs_are() -> None:
    key = Key.parse(b"URL--http://x/")
    assert web.path(key) == "311/700/URL--http&c%%x%.log.web"
    assert web.old_paths(key) == [
        "remote/web/311/700/URL--http://x/.log",
        "remote/web/311/700/URL--http&c%%x%.log",
    ]
    assert equivalent.path(key) == "311/700/URL--http&c%%x%.log.ek"


def test_equivalent_keys() -> None:
    log = equivalent.add(b"", Key.parse(b"SHA256-s5--x"), _NOW)
    assert log == b"100s 1 SHA256-s5--x\n"
    log += b"5s 1 junk\n5s 1 SHA256-s05--x\n5s 0 SHA256-s6--x\n"
    assert equivalent.parse(log) == [Key.parse(b"SHA256-s5--x")]
