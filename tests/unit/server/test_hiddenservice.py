"""Hidden services in tor's configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.errors import ShoalError
from shoal.server import hiddenservice
from shoal.server.hiddenservice import Tor
from shoal.values.p2paddress import TorAddress
from tests.support.annexrepo import HERE, THERE

TORRC = f"""\
HiddenServiceDir /var/lib/tor/other/
HiddenServicePort 80 127.0.0.1:80
HiddenServiceDir /var/lib/tor/tor-annex_7_{HERE}/
HiddenServicePort 4711 unix:/var/lib/tor-annex/s
"""


def tor_in(directory: Path, torrc: str) -> Tor:
    (directory / "torrc").write_text(torrc)
    torrcs = (str(directory / "none"), str(directory / "torrc"))
    return Tor(torrcs, str(directory / "services"), str(directory / "sockets"))


def test_the_hidden_service_of_a_repository(tmp_path: Path) -> None:
    tor = tor_in(tmp_path, TORRC)
    assert tor.socket_of(HERE, 7) == "/var/lib/tor-annex/s"
    assert tor.socket_of(HERE, 8) is None
    assert tor.socket_of(THERE, 7) is None
    assert Tor(()).socket_of(HERE, 7) is None


def test_a_service_is_added_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration is only added to; no port is given twice."""
    uid = os.getuid()
    service = tmp_path / "services" / f"tor-annex_{uid}_{HERE}"
    service.mkdir(parents=True)
    (service / "hostname").write_text("abc.onion\n")
    monkeypatch.setattr(hiddenservice, "_RELOADS", (("false",), ("true",)))
    monkeypatch.setattr(hiddenservice, "_PORTS", range(4711, 4713))
    tor = tor_in(tmp_path, TORRC)
    assert tor.add(HERE, uid) == TorAddress("abc.onion", 4712)
    text = (tmp_path / "torrc").read_text()
    assert text.startswith(TORRC)
    assert tor.add(HERE, uid) == TorAddress("abc.onion", 4712)
    assert (tmp_path / "torrc").read_text() == text
    socket = tor.socket_of(HERE, uid)
    assert socket is not None
    assert Path(socket).parent.is_dir()


@pytest.mark.parametrize(
    ("reloads", "why"),
    [((("false",), ("no-such-program",)), "reload tor"), ((("true",),), "create hidden service")],
)
def test_a_tor_that_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reloads: tuple[tuple[str]], why: str
) -> None:
    monkeypatch.setattr(hiddenservice, "_RELOADS", reloads)
    monkeypatch.setattr(hiddenservice, "_PATIENCE", 1)
    with pytest.raises(ShoalError, match=f"failed to {why}, perhaps the tor service is not"):
        tor_in(tmp_path, TORRC).add(HERE, os.getuid())


def test_no_tor(tmp_path: Path) -> None:
    with pytest.raises(ShoalError, match="tor is not installed here"):
        Tor((str(tmp_path / "none"),)).add(HERE, os.getuid())
