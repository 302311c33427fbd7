"""What each path to a node costs, as far as it was learnt: kept from one process to the next.

Cost and gateways in between follow from configuration and from proxy.log. How long a path takes
to answer shows only in use, and a session of shoal-shell is over before it has shown. So it is
written down, for this gateway alone and never on the git-annex branch: it is true of nobody else.

    ANNEX/shoal/paths      one line for each path: SECONDS UUID NAME-OF-REMOTE

The file is replaced in one step. Nothing depends on it: what cannot be read is not known, and
what cannot be written is learnt again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from shoal.gateway.select import latency_step
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_MOST_PATHS: Final = 1000
_MOST_BYTES: Final = 1 << 18
_LONGEST: Final = 3600.0  # seconds; no answer is waited for as long


class Path(NamedTuple):
    """One way to a node: the remote that it is reached by, as git config or proxy.log name it."""

    uuid: UUID
    remote: str


class PathCosts:
    """The costs that a gateway keeps. For one thread at a time."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._kept: dict[Path, float] | None = None

    def load(self) -> None:
        """Read what was kept, the first time that this is called. Blocks."""
        if self._kept is None:
            self._kept = self._read()

    def latency(self, path: Path) -> float:
        """Give how long a path lately took to answer, in seconds; 0 when that is not known."""
        return (self._kept or {}).get(path, 0.0)

    def keep(self, latencies: Mapping[Path, float]) -> None:
        """Write down what was learnt of paths, if it makes a difference to a choice. Paths that
        are not named are forgotten. Blocks."""
        known = self._kept or {}
        learnt = {path: seconds for path, seconds in latencies.items() if 0 < seconds < _LONGEST}
        if all(
            latency_step(learnt.get(path, 0.0)) == latency_step(known.get(path, 0.0))
            for path in {*learnt, *known}
        ):
            return
        self._kept = dict(list(learnt.items())[:_MOST_PATHS])
        lines = (f"{seconds:.4f} {uuid} {name}\n" for (uuid, name), seconds in self._kept.items())
        text = "".join(lines).encode("utf-8", "surrogateescape")
        with suppress(OSError):
            self._repository.make_directory(os.path.dirname(self._file))
            self._repository.othertmp.replace(self._file, text)

    @property
    def _file(self) -> str:
        return self._repository.annex_path("shoal", "paths")

    def _read(self) -> dict[Path, float]:
        try:
            with open(self._file, "rb") as file:
                text = file.read(_MOST_BYTES).decode("utf-8", "surrogateescape")
        except OSError:
            return {}
        found = {}
        for line in text.split("\n")[:_MOST_PATHS]:
            with suppress(ValueError):
                seconds, uuid, name = line.split(" ")
                if 0 < float(seconds) < _LONGEST:
                    found[Path(UUID(uuid), name)] = float(seconds)
        return found
