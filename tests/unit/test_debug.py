"""What --debug shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from shoal import debug


@pytest.fixture(autouse=True)
def _silent_afterwards() -> Iterator[None]:
    yield
    debug.disable()


def _shown(capfd: pytest.CaptureFixture[str]) -> list[str]:
    debug.say("git.process", "one")
    debug.say("git.index", "two")
    debug.say("transport.http_client", "three")
    return re.findall(
        r"^\[[-0-9]+ [:0-9]+\.[0-9]{9}\] \(\S+\) (\w+)$", capfd.readouterr().err, re.M
    )


def test_nothing_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert _shown(capfd) == []
    debug.enable()
    debug.disable()
    assert _shown(capfd) == []
    assert not debug.is_enabled()


def test_everything(capfd: pytest.CaptureFixture[str]) -> None:
    debug.enable()
    assert _shown(capfd) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["git.process"], ["one"]), (["git"], ["one", "two"]),
        (["transport", "git.index"], ["two", "three"]),
    ],
)  # fmt: skip
def test_some_sources(
    names: list[str], shown: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    debug.enable(names)
    assert _shown(capfd) == shown
