"""What git's remote helpers say to people. The rest is in tests/interop/test_p2p_git.py."""

from __future__ import annotations

import pytest

from shoal.cli.gitremote import main


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("tor-annex", ["peer", "abc.onion"], "tor-annex::abc.onion is not like tor-annex::ONION:"),
        ("p2p-annex", ["peer", "net"], "p2p-annex::net is not like p2p-annex::NETWORK:ADDRESS"),
        ("p2p-annex", ["peer"], "git runs this with the name of a remote and its address"),
    ],
)
def test_the_name_of_the_program_is_the_scheme(
    name: str,
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", [f"/usr/bin/git-remote-{name}"])
    assert main(words) == 1
    shown = capsys.readouterr().err
    assert shown.startswith(f"git-remote-{name}: ")
    assert said in shown
