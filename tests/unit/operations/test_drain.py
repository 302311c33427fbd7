"""The marks of a node that leaves: set, taken back, and completed after an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.session import Session
from shoal.errors import ShoalError
from shoal.git.annexlogs import AnnexLogs
from shoal.operations.drain import Left, check_may_drain, draining, mark, unmark, what_is_left
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, THERE, key_of, make_annex

NODE = UUID("12345678-0000-4000-8000-000000000000")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    repository = make_annex(tmp_path / "gateway")
    yield Session(repository)
    repository.close()


def configured(logs: AnnexLogs) -> tuple[str, frozenset[str], int | None]:
    return (
        logs.wanted().get(NODE, ""),
        logs.groups().get(NODE, frozenset()),
        logs.max_sizes().get(NODE),
    )


def test_marks_come_and_go(session: Session) -> None:
    logs = session.logs
    logs.set_wanted(NODE, "standard")
    logs.set_groups(NODE, ["archive", "big"])
    logs.set_max_size(NODE, 1000)
    before = configured(logs)
    mark(logs, NODE)
    assert configured(logs) == ("nothing", frozenset(), 1000)
    mark(logs, NODE)
    assert draining(logs)[NODE].wanted == "standard"
    unmark(logs, NODE, "n")
    assert configured(logs) == before
    assert draining(logs) == {}
    with pytest.raises(ShoalError, match="n is not being drained"):
        unmark(logs, NODE, "n")


def test_a_node_without_any_configuration_gets_none_back(session: Session) -> None:
    mark(session.logs, NODE)
    unmark(session.logs, NODE, "n")
    # A maximum size of 0 would be another thing: balanced content has no room there.
    assert configured(session.logs) == ("", frozenset(), None)


def test_what_was_configured_meanwhile_stays(session: Session) -> None:
    logs = session.logs
    logs.set_wanted(NODE, "anything")
    mark(logs, NODE)
    logs.set_wanted(NODE, "include=*.dat")
    logs.set_groups(NODE, ["other"])
    logs.set_max_size(NODE, 77)
    unmark(logs, NODE, "n")
    assert configured(logs) == ("include=*.dat", frozenset({"other"}), 77)


def test_marks_that_were_interrupted_are_completed(session: Session) -> None:
    logs = session.logs
    logs.set_wanted(NODE, "anything")
    mark(logs, NODE)
    logs.set_wanted(NODE, "anything")  # as if it had been killed before this one
    mark(logs, NODE)
    assert configured(logs) == ("nothing", frozenset(), None)
    assert draining(logs)[NODE].wanted == "anything"


def test_what_others_wrote_there_is_no_mark(session: Session) -> None:
    session.logs.set_config(f"shoal.drain.{NODE}", "{")
    session.logs.set_config(f"shoal.drain.{HERE}", '{"wanted": ""}')
    assert draining(session.logs) == {}


def test_required_content_forbids_it(session: Session) -> None:
    check_may_drain(session, NODE, "n")
    session.logs.set_required(NODE, "anything")
    with pytest.raises(ShoalError, match="n has required content") as caught:
        check_may_drain(session, NODE, "n")
    assert caught.value.hint == 'First take that back: shoal required n ""'


def test_what_is_left(session: Session, tmp_path: Path) -> None:
    one, other = key_of(b"one"), key_of(b"other")
    node = make_annex(tmp_path / "node", bare=True, uuid=THERE)
    assert what_is_left(session, THERE, node.path).is_empty
    session.logs.set_location(one, THERE, True)
    session.logs.set_location(other, HERE, True)
    assert what_is_left(session, THERE, None) == Left(1, None, (one,))
    incoming = Path(node.annex_path("incoming"))
    incoming.write_bytes(b"other")
    node.objects.place(other, str(incoming))
    left = what_is_left(session, THERE, node.path)
    assert left == Left(1, 1, (one, other))
    assert not left.is_empty
    node.close()
