"""What an action tells whoever started it, while it runs and when it cannot be done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from shoal.annex.jsonvalue import JSON
from shoal.annex.verifying import DropRefused
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.values.key import Key

NO_OTHER = "No other repository is known to contain the file."
TRY_MOVE = "Rather than dropping this file, try using: git annex move"
USE_FORCE = "(Use --force to override this check, or adjust numcopies.)"
_CONCURRENT = (
    "(This could have happened because of a concurrent drop, or because a remote has too old a "
    "version of git-annex-shell installed.)"
)


class Reporter(Protocol):
    """Shows what happens to one key; cli/output.py has one for the terminal."""

    def note(self, text: str) -> None:
        """Show a short note."""

    def long_note(self, text: str, *, in_json: str | None = None) -> None:
        """Show lines; `in_json` is what programs get instead ("" for nothing)."""

    def warning(self, text: str) -> None:
        """Show what went wrong, while the action goes on."""

    def field(self, **fields: JSON) -> None:
        """Add fields for programs."""

    def progress(self, done: int, total: int | None) -> None:
        """Tell how many bytes of the key are at their destination."""


def report_refusal(
    reporter: Reporter,
    session: Session,
    key: Key,
    refused: DropRefused,
    *,
    besides: Collection[UUID],
    advice: str = TRY_MOVE,
) -> None:
    """Tell why a drop is not safe, and what might help. `besides` are repositories that it
    would be of no use to reach: the one that is dropped from, above all."""
    reporter.note("unsafe")
    reporter.long_note(str(refused.shortage))
    if refused.shortage_is_of_locks:
        cannot = ", ".join(refused.unlockable)
        reporter.long_note(
            f"These remotes do not support locking: {cannot}" if cannot else _CONCURRENT
        )
    report_unreachable(reporter, refused.unavailable)
    places = session.locations(key) - set(refused.verified) - set(besides)
    report_places(reporter, session, places, apart=True, otherwise=advice)
    reporter.long_note(USE_FORCE)


def report_unreachable(reporter: Reporter, names: Sequence[str]) -> None:
    """Name the remotes that did not answer, if any."""
    if names:
        reporter.long_note(f"Unable to access these remotes: {', '.join(names)}")


def report_places(
    reporter: Reporter,
    session: Session,
    places: Iterable[UUID],
    *,
    apart: bool = False,
    otherwise: str = NO_OTHER,
) -> None:
    """Name repositories that have the key and could be made available; `otherwise` is said
    when there are none. `apart`: untrusted ones are listed apart, and not for programs."""
    found = sorted(uuid for uuid in places if uuid != session.here and not is_cluster_uuid(uuid))
    untrusted = [u for u in found if apart and session.trust(u) is TrustLevel.UNTRUSTED]
    useful = [uuid for uuid in found if uuid not in untrusted]
    remotes = [uuid for uuid in useful if session.names.remote_name(uuid) is not None]
    special = [u for u in useful if u not in remotes and u in session.logs.remote_configs()]
    others = [uuid for uuid in useful if uuid not in remotes and uuid not in special]
    sections = [
        ("Try making some of these remotes available:", remotes),
        ("Maybe enable some of these special remotes (git annex enableremote ...):", special),
        ("Maybe add some of these git remotes (git remote add ...):", others),
        ("Also these untrusted repositories may contain the file:", untrusted),
    ]
    text = "".join(f"{title}\n{session.names.lines(some)}" for title, some in sections if some)
    reporter.long_note(text.removesuffix("\n") or otherwise, in_json="")
    reporter.field(
        wanted=[
            {"description": session.names.in_json(uuid), "here": False, "uuid": uuid}
            for uuid in useful
        ]
    )
    ignored = [one.name for one in session.settings if one.ignore and one.uuid in useful]
    if ignored:
        reporter.long_note(
            f"(Note that these git remotes have annex-ignore set: {' '.join(ignored)})", in_json=""
        )
