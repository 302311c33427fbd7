"""What --auto means: preferred content, and the number of copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.annex.matching import Candidate

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.preferred.facts import Facts
    from shoal.values.uuid import UUID


def lacks_copies(session: Session, candidate: Candidate) -> bool:
    """Tell whether there are fewer copies than wanted of this file."""
    return _copies(session, candidate) < session.copies.of_file(candidate.path).numcopies


def has_spare_copies(session: Session, candidate: Candidate) -> bool:
    """Tell whether there are more copies than wanted of this file."""
    return _copies(session, candidate) > session.copies.of_file(candidate.path).numcopies


def wants(session: Session, repository: UUID, candidate: Candidate) -> bool:
    """Tell whether a repository's preferred content wants the file. Without any it does not."""
    return session.policy(repository).wants(session.facts(candidate), default=False)


def lets_go(session: Session, repository: UUID, candidate: Candidate) -> bool:
    """Tell whether a repository would not keep the file, nor any other file with the key.
    Without preferred content it keeps nothing."""
    policy = session.policy(repository)
    return not policy.is_configured or policy.lets_go(
        session.facts(candidate), _others(session, candidate), default=False
    )


def requires(session: Session, repository: UUID, candidate: Candidate) -> bool:
    """Tell whether a repository's required content forbids to drop the key."""
    if not session.logs.required().get(repository):
        return False
    return session.policy(repository).requires(
        session.facts(candidate), _others(session, candidate)
    )


def _copies(session: Session, candidate: Candidate) -> int:
    return len(session.places(candidate.key).counted)


def _others(session: Session, candidate: Candidate) -> list[Facts]:
    """Give the facts for the other files with the same key."""
    return [
        session.facts(Candidate(candidate.key, path))
        for path in session.copies.files.of(candidate.key)
        if path != candidate.path
    ]
