"""Transitions, and what the dead leave behind, beyond the vectors."""

from __future__ import annotations

import pytest

from shoal.logs import transitions
from shoal.logs.dropdead import Dead, dead_in, drop_dead, drop_dead_from_all
from shoal.logs.transitions import Plan, Transition
from shoal.values.clock import clock_from_seconds
from shoal.values.uuid import UUID

_A, _B, _C = UUID("a"), UUID("b"), UUID("c")
_DEAD = Dead(frozenset({_A}), frozenset({_A, _C}))
_HISTORY, _REMOTES = Transition


def test_lines_are_in_order_of_their_clocks() -> None:
    log = b"ForgetDeadRemotes 9s\nForgetGitHistory 10s\njunk\nX y\nNew 10s\n"
    lines = transitions.parse(log)
    assert transitions.render(lines) == b"ForgetDeadRemotes 9s\nNew 10s\nForgetGitHistory 10s\n"
    assert transitions.known(lines) == [_REMOTES, _HISTORY]
    assert transitions.unknown(lines) == [b"New"]


def test_starting_a_transition_again() -> None:
    log = transitions.change(b"", [_HISTORY], clock_from_seconds(100))
    log = transitions.change(log, [_HISTORY, _REMOTES], clock_from_seconds(50))
    assert log == b"ForgetDeadRemotes 50s\nForgetGitHistory 100s\nForgetGitHistory 101s\n"
    assert transitions.known(transitions.parse(log)) == [_REMOTES, _HISTORY]


def test_an_ordinary_merge_needs_no_plan() -> None:
    lines = transitions.parse(b"ForgetGitHistory 5s\n")
    assert transitions.plan(lines, {"x": lines, "y": lines}) is None
    assert transitions.plan(frozenset(), {}) is None


def test_each_side_may_lack_what_others_have_done() -> None:
    history = transitions.parse(b"ForgetGitHistory 5s\n")
    both = transitions.parse(b"ForgetGitHistory 5s\nForgetDeadRemotes 6s\n")
    plan = transitions.plan(history, {"x": history, "y": both, "z": frozenset()})
    assert plan == Plan([_HISTORY, _REMOTES], True, ["y"], ["x", "z"])


def test_who_is_dead() -> None:
    trust = b"a X timestamp=5s\nb 1 timestamp=5s\nd 0 timestamp=5s\n"
    remotes = b"".join(
        b"%s sameas-uuid=%s timestamp=5s\n" % pair
        for pair in ((b"c", b"a"), (b"d", b"a"), (b"e", b"b"))
    )
    # d has a trust level of its own, which counts more.
    assert dead_in(trust, remotes) == _DEAD


@pytest.mark.parametrize(
    ("path", "log", "after"),
    [
        ("trust.log", b"a X timestamp=5s\n", b"a X timestamp=5s\n"),
        ("uuid.log", b"b x timestamp=5s\na y timestamp=5s\n", b"b x timestamp=5s\n"),
        ("group.log", b"c x timestamp=5s\n", b""),
        ("maxsize.log", b"5s b junk\n5s a 1\n", b"5s b junk\n"),
        ("cluster.log", b"5s b a c\n5s a b\n", b"5s b a c\n"),
        ("export.log", b"5s a:b t\n5s a t\n", b"5s a:b t\n"),
        ("remote.log", b"a x=y\nb x=y\nc q=r sameas-uuid=a\n", b"b x=y\nc sameas-uuid=a\n"),
        ("d02/4e7/MD5--x.log", b"5s 1 b\n5s 1 a\n4s 0 b\n", b"5s 1 b\n"),
        ("d02/MD5--x.log", b"5s 1 a\n", b"5s 1 a\n"),
        ("d02/4e7/MD5--x.log.web", b"5s 1 a\n", b"5s 1 a\n"),
        ("d02/4e7/MD5--x.log.cnk", b"5s b:5 1\n5s a:5 1\n", b"5s b:5 1\n"),
        ("d02/4e7/nokey.log.cnk", b"5s a:5 1\n", b"5s a:5 1\n"),
        ("d02/4e7/MD5--x.log.rmt", b"5s c x\n5s b y\n", b"5s b y\n"),
        ("d02/4e7/MD5--x.log.cid", b"5s c x\n5s b y\n", b"5s b y\n"),
        ("d02/4e7/MD5--x.log.met", b"5s a:f +1\n", b"5s a:f +1\n"),
        ("d02/4e7/MD5--x.log.rmet", b"5s a:f +1 b:f +2 f +3\n6s c:f +1\n", b"5s b:f +2 f +3\n"),
        ("d02/4e7/MD5--x.log.rmet", b"5s a: +1 a:-x +2\n", b"5s a: +1 a:-x +2\n"),
        ("other/a.log", b"5s 1 a\n", b"5s 1 a\n"),
    ],
)
def test_what_each_file_becomes(path: str, log: bytes, after: bytes) -> None:
    assert drop_dead(path, log, _DEAD) == after


def test_one_level_branches() -> None:
    assert drop_dead("d02/MD5--x.log", b"5s 1 a\n", _DEAD, levels=1) == b""


def test_files_that_become_empty_are_gone() -> None:
    files = {"trust.log": b"a X timestamp=5s\n", "uuid.log": b"a x timestamp=5s\n", "other": b""}
    assert drop_dead_from_all(files) == {"trust.log": files["trust.log"], "other": b""}
