"""What a p2phttp server is told when it starts, as data."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.p2phttp.routes import DEFAULT_PORT as DEFAULT_PORT
from shoal.server.patience import STALL

_FEWEST_THREADS = 16
_MOST_THREADS = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost, in bytes, seconds and numbers.

    A transfer ends when no byte moves for `stall` seconds, a connection when nothing is asked
    on it for `idle` seconds. At its end the server waits `drain` seconds for requests.
    """

    stall: float = STALL
    idle: float = 300
    drain: float = 30
    locked_files: int = 100
    request_line: int = 64 * 1024  # bytes of method, path and parameters
    header_field: int = 16 * 1024  # bytes of one header
    headers: int = 100
    read_ahead: int = 64 * 1024  # bytes of a body that nobody has asked for yet
    batch: int = 1 << 20  # bytes of a body that are handed on at once


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server listens. `socket` is a path; `certificate` and `private_key` together
    switch TLS on, `chain` are more certificates to send."""

    address: str | None = None  # None: all
    port: int = DEFAULT_PORT
    socket: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    chain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workers:
    """How much is done at once: requests per repository, and processors (None: all)."""

    jobs: int
    cpus: int | None = None

    @property
    def threads(self) -> int:
        """How many threads may wait for disks at once."""
        return max(_FEWEST_THREADS, min(4 * self.jobs, _MOST_THREADS))
