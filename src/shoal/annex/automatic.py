"""What --auto means: preferred content, and the number of copies."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shoal.annex import wanting
from shoal.annex.matching import Candidate

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.values.uuid import UUID


def lacks_copies(session: Session, candidate: Candidate) -> bool:
    """Tell whether there are fewer copies than wanted of this file."""
    copies, wanted = _copies(session, candidate)
    if session.explain is not None:
        subject = candidate.shown or candidate.key
        number = f"{copies} {'copy' if copies == 1 else 'copies'}"
        session.explain(f"{subject} has {number}, and the configured annex.numcopies is {wanted}")
    return copies < wanted


def can_spare_copy(session: Session, repository: UUID, candidate: Candidate) -> bool:
    """Tell whether there are enough copies of this file without one in `repository`."""
    copies, wanted = _copies(session, candidate, without=repository)
    return copies >= wanted


def wants(session: Session, repository: UUID, candidate: Candidate) -> bool:
    """Tell whether a repository's preferred content wants the file. Without any it does not."""
    return wanting.wants(session, repository, candidate)


def lets_go(session: Session, repository: UUID, candidate: Candidate) -> bool:
    """Tell whether a repository would not keep the file, nor any other file with the key."""
    return wanting.lets_go(session, repository, candidate, partial(_all_files, session, candidate))


def requires(session: Session, repository: UUID, candidate: Candidate) -> bool:
    """Tell whether a repository's required content forbids to drop the key."""
    return wanting.requires(session, repository, candidate, partial(_all_files, session, candidate))


def _copies(session: Session, candidate: Candidate, without: UUID | None = None) -> tuple[int, int]:
    """Give how many copies there are, and how many are wanted."""
    wanted = session.copies.of_file(candidate.path).numcopies
    counted = session.places(candidate.key).counted
    return sum(place != without for place in counted), wanted


def _all_files(session: Session, candidate: Candidate) -> list[Candidate]:
    """Give the files of the work tree with the same key."""
    return [Candidate(candidate.key, path) for path in session.copies.files.of(candidate.key)]
