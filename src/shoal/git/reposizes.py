"""How full repositories are: what the location logs say, and what is on its way.

`Repository.sizes` is the one object for this, shared by all threads of a process:

* `sizes()`, `size(repo)`: bytes of keys by the location logs, journalled ones included. As
  fresh as the branch's last refresh(). This is what `maxsize` and `info` show.
* `live_sizes()`, `live_size(repo)`: the same, and what this process or any other, shoal or
  the real git-annex, has reserved for keys that it is about to store. Preferred content looks
  at these.

Whoever stores a key reserves its size first, in the moment when it decides:

    with repository.sizes.deciding() as decision:        # nobody else decides meanwhile
        for node in candidates:
            if preferences.has_room(node, key) and preferences.wants(node, key, ...):
                reservations.append(decision.reserve(node, key))
    ...                                                  # the transfers
    repository.logs.set_locations(key, {node: True})     # settles the reservations of (node, key)
    reservation.cancel()                                 # in `finally`: nothing when settled

Rules:

* `deciding()` blocks: call it in a thread. It holds a lock that the real program waits for
  too, so never wait in it for a network, a node, or a client. Sizes, locations and
  configuration are brought up to date at its start, and what it reserves counts at once, also
  for the next question inside it. An exception inside cancels what was reserved in it.
* Reservations written by set_locations() or set_location(), by whichever thread, are settled
  while the journal is locked: no reader ever sees neither the reservation nor the key. What
  concerns other keys or repositories stays.
* Removals are not announced, nor does the real program do so: it decides that a key may go
  without looking at sizes. Until it is gone it counts, which is the safe way.
* `cancel()` may be called from any thread, any number of times. A reservation is also a
  context manager that cancels at its end.
* Those who only ask (find --want-get-by) need no decision.
* When nothing depends on sizes, `Preferences.counts_sizes(nodes)` says so; then do without
  all this: it opens no database and takes no lock.

The database of the real program is used (see sizesdb.py), so both programs respect the
reservations of both. When it cannot be used (a read-only repository, a full disk), `trouble`
says why: everything goes on, but reservations are known to this process alone.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.db.reposizedb import Change, LiveChange
from shoal.errors import ShoalError
from shoal.git.held import Held
from shoal.git.sizecount import SizeCount
from shoal.git.sizesdb import SharedSizes
from shoal.git.waiting import about_to_wait
from shoal.logs.presence import Status
from shoal.values.key import Key
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_NOTICE_SHARE = 20  # times as long as looking for what others logged took, before the next look
_numbers = itertools.count(1)  # unique in this process, whatever the repository


class Reservation(Held):
    """Room for a key in a repository, until the key is there or will not come.

    release() is cancel(), so a `with` block cancels what was not settled in it.
    """

    def __init__(self, sizes: RepoSizes, change: LiveChange) -> None:
        self._sizes = sizes
        self.change = change

    @property
    def is_pending(self) -> bool:
        """False when it was settled or cancelled."""
        return self._sizes.is_pending(self.change)

    def cancel(self) -> None:
        """Give it up: the key will not come. Harmless when it was settled."""
        self._sizes.cancel(self.change)

    def release(self) -> None:
        self.cancel()


class Decision:
    """What is decided while nobody else decides; see RepoSizes.deciding."""

    def __init__(self, sizes: RepoSizes) -> None:
        self._sizes = sizes
        self.reserved: list[LiveChange] = []

    def reserve(self, repo: UUID, key: Key) -> Reservation:
        """Reserve room for `key` in `repo`."""
        live = LiveChange(repo, key, Change.ADDING, os.getpid(), next(_numbers))
        self.reserved.append(live)
        self._sizes.remember(live)
        return Reservation(self._sizes, live)


@dataclass(slots=True)
class _Reserved:
    """The reservations of one key in one repository, which need `size` bytes together."""

    size: int
    changes: set[LiveChange]


class RepoSizes:
    """The sizes of all repositories that a git-annex branch knows. Thread-safe."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._shared = SharedSizes(repository)
        self._counting = threading.Lock()
        self._count = SizeCount(repository, self._shared.stored_sizes, self._shared.store_sizes)
        self._reserving = threading.Lock()  # for what follows
        self._reserved: dict[tuple[UUID, Key], _Reserved] = {}
        self._room: dict[UUID, int] = {}  # the sum of what is reserved, in bytes
        self._noticed = -1  # the state of the database when others' logs were last looked at
        self._notice_at = float("-inf")
        repository.logs.on_locations(self.settle)

    @property
    def trouble(self) -> ShoalError | None:
        """Why other processes are not told of reservations, nor heard of; None when they are."""
        return self._shared.trouble

    # Asking

    def sizes(self) -> dict[UUID, int]:
        """Give the bytes of keys in each known repository. The mapping is the caller's."""
        self._shared.open()
        with self._counting:
            return self._count.sizes()

    def let_count(self, count: Callable[[], bool]) -> None:
        """Have the first count made by `count`, in another process, which leaves it in the
        database; it tells whether it did. Nothing when that is as the branch is, or cannot be
        used. Who asks for sizes meanwhile waits."""
        self._shared.open()
        with self._counting:
            _, counted = self._shared.stored_sizes()
            if self.trouble is None and counted != self._repository.branch.tip and count():
                self._count.sizes()

    def size(self, repo: UUID) -> int | None:
        """Give the size of one repository in bytes; None when nobody ever heard of it."""
        return self.sizes().get(repo)

    def live_sizes(self) -> Mapping[UUID, int]:
        """Give the sizes, and what is about to be added. What is about to be removed still
        counts. A repository that nobody ever heard of is left out until something is on its way
        to it: a node is new to a gateway that has not fetched from it yet, and has a maximum
        size all the same. (The real program counts nothing until the first key is logged.)"""
        # In this order a change that comes meanwhile may count twice, but never not at all.
        self._shared.open()
        others = self._shared.others()
        with self._reserving:
            coming = dict(self._room)
            theirs = {(live.repo, live.key) for live in others} - self._reserved.keys()
        seen = self._shared.seen
        if theirs or seen != self._noticed:  # what was settled since then is in a log
            self._repository.branch.changes.notice()
            self._noticed = seen
        for repo, key in theirs:
            if not self._has(repo, key):
                coming[repo] = coming.get(repo, 0) + (key.size or 0)
        found = self.sizes()
        for repo, size in coming.items():
            if size:
                found[repo] = found.get(repo, 0) + size
        return found

    def live_size(self, repo: UUID) -> int | None:
        """Give the live size of one repository; None when live_sizes() leaves it out."""
        return self.live_sizes().get(repo)

    def _has(self, repo: UUID, key: Key) -> bool:
        return repo in self._repository.logs.locations(key, raw=True)

    # Deciding

    @contextmanager
    def deciding(self) -> Iterator[Decision]:
        """Decide where keys go, while nobody else does.

        Raises LockError when another process does so for a minute.
        """
        about_to_wait()
        self.sizes()  # what takes long is done before others have to wait
        with self._shared.deciding():
            self._notice_now_and_then()
            decision = Decision(self)
            done = False
            try:
                yield decision
                self._shared.begin(decision.reserved)
                done = True
            finally:
                if not done:
                    for live in decision.reserved:
                        self.cancel(live)

    def _notice_now_and_then(self) -> None:
        """Notice what others logged without a reservation, unless that was done a moment ago:
        a busy server has a long journal, and looking through it takes time. What had been
        reserved is noticed without fail, see live_sizes()."""
        began = time.monotonic()
        if began >= self._notice_at:
            self._repository.branch.changes.notice()
            now = time.monotonic()
            self._notice_at = now + _NOTICE_SHARE * (now - began)

    def remember(self, live: LiveChange) -> None:
        """Count a change that this process is about to make."""
        size = 0 if self._has(live.repo, live.key) else live.key.size or 0
        with self._reserving:
            reserved = self._reserved.get((live.repo, live.key))
            if reserved is None:
                reserved = self._reserved[live.repo, live.key] = _Reserved(size, set())
                self._room[live.repo] = self._room.get(live.repo, 0) + size
            reserved.changes.add(live)

    @property
    def is_reserving(self) -> bool:
        """Whether there are reservations of this process, which what is logged may settle."""
        return bool(self._reserved)

    def is_pending(self, live: LiveChange) -> bool:
        """Tell whether a change was neither settled nor cancelled."""
        with self._reserving:
            reserved = self._reserved.get((live.repo, live.key))
            return reserved is not None and live in reserved.changes

    def cancel(self, live: LiveChange) -> None:
        """Forget a change that will not be made."""
        if self._forget([live]):
            self._shared.cancel([live])

    def settle(self, key: Key, changes: Mapping[UUID, bool | Status]) -> None:
        """Settle what the location log says now. Called with the journal locked."""
        if not self._reserved:
            return
        with self._reserving:
            made = [
                live
                for repo, status in changes.items()
                if status in (True, Status.PRESENT) and (repo, key) in self._reserved
                for live in self._reserved[repo, key].changes
            ]
        if made:
            self._forget(made)  # the new log counts already
            self._shared.finish(made)

    def _forget(self, changes: list[LiveChange]) -> bool:
        """Count changes no longer; tell whether they did."""
        forgotten = False
        with self._reserving:
            for live in changes:
                reserved = self._reserved.get((live.repo, live.key))
                if reserved is None or live not in reserved.changes:
                    continue
                forgotten = True
                reserved.changes.discard(live)
                if not reserved.changes:
                    self._room[live.repo] -= reserved.size
                    del self._reserved[live.repo, live.key]
        return forgotten

    def close(self) -> None:
        """Tell others that this process reserves nothing any more. May be used again."""
        with self._reserving:
            self._reserved.clear()
            self._room.clear()
        self._shared.close()
