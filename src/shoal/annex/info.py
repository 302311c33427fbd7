"""What `info` tells: of the repository, of a remote, of files and trees.

Everything is given as statistics with a text for people and a value for programs, one after
the other, so that the quick ones can be shown while the slow ones are worked out.
"""

from __future__ import annotations

import datetime
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoal.annex.files import AnnexedFile
from shoal.annex.jsonvalue import JSON
from shoal.annex.names import BUILT_IN, BUILT_IN_COST
from shoal.annex.running import running_transfers
from shoal.git.diskreserve import free_bytes, parse_reserve
from shoal.logs.trust import TrustLevel
from shoal.remotes.settings import Kind, RemoteSettings
from shoal.values.humansize import rough_size
from shoal.values.size import BINARY_UNITS
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.values.key import Key

_BLOOM_CAPACITY = 500_000  # keys that the real program's `unused` is prepared for
_BLOOM_BYTES = 32 << 20
_NOT_LOCKED = (TrustLevel.TRUSTED, TrustLevel.SEMITRUSTED, TrustLevel.UNTRUSTED)


@dataclass(frozen=True, slots=True)
class Stat:
    """One statistic. `lines` follow `text`, each after a tab."""

    name: str
    text: str
    value: JSON
    lines: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    """Keys, counted: how many, and how large together; some are of unknown size."""

    count: int = 0
    size: int = 0
    unknown: int = 0
    backends: Counter[str] = field(default_factory=Counter)

    def add(self, key: Key) -> None:
        """Count one more key."""
        self.count += 1
        self.backends[os.fsdecode(key.backend)] += 1
        if key.size is None:
            self.unknown += 1
        else:
            self.size += key.size

    def __iadd__(self, other: Tally) -> Tally:
        self.count += other.count
        self.size += other.size
        self.unknown += other.unknown
        return self


class Info:
    """Works statistics out. `in_bytes`: sizes are plain numbers. `fast`: leave out the slow."""

    def __init__(self, session: Session, *, in_bytes: bool = False, fast: bool = False) -> None:
        self._session = session
        self._in_bytes = in_bytes
        self._fast = fast

    # Of the repository

    def of_repository(self) -> Iterator[Stat]:
        """Give what there is to know of the repository as a whole."""
        for level in _NOT_LOCKED:
            yield self._repositories(level)
        yield self._transfers()
        yield self._disk_space()
        if self._fast:
            return
        local = _tally(self._session.repository.objects.keys())
        yield Stat("local annex keys", str(local.count), local.count)
        yield self._size("local annex size", local)
        files = Tally()
        if not self._session.repository.is_bare:
            tree = self._session.work_tree
            entries = iter(tree.entries([os.curdir]))
            files = _tally(key for _, key in tree.keys_of(entries))
        yield Stat("annexed files in working tree", str(files.count), files.count)
        yield self._size("size of annexed files in working tree", files)
        sizes = self._sizes_of_repositories()
        total = Tally(size=sum(sizes.values()))
        yield self._size("combined annex size of all repositories", total)
        yield self._sizes("annex sizes of repositories", "", sizes)
        backends = dict(sorted(files.backends.items(), key=lambda item: (-item[1], item[0])))
        yield Stat(
            "backend usage", "", backends, tuple(f"{name}: {n}" for name, n in backends.items())
        )
        bloom = str(_BLOOM_BYTES) if self._in_bytes else _binary(_BLOOM_BYTES)
        text = f"{bloom} ({_percent(local.count, _BLOOM_CAPACITY)} full)"
        yield Stat("bloom filter size", text, text)

    def dead_repositories(self) -> Stat:
        """Give the repositories that are dead."""
        return self._repositories(TrustLevel.DEAD)

    def _repositories(self, level: TrustLevel) -> Stat:
        session = self._session
        known = {*BUILT_IN, *session.logs.descriptions()}
        known |= {one.uuid for one in session.settings if one.uuid is not None}
        uuids = sorted(uuid for uuid in known if session.trust(uuid) is level)
        return Stat(
            f"{level.name.lower()} repositories",
            str(len(uuids)),
            [self._entry(uuid) for uuid in uuids],
            tuple(map(session.names.line, uuids)),
        )

    def _transfers(self) -> Stat:
        running = running_transfers(self._session.repository)
        lines = []
        for one in running:
            name = self._session.names.remote_name(one.other) or one.other
            what = one.file or str(one.key)
            lines.append(f"uploading {what} to {name}" if one.upload
                         else f"downloading {what} from {name}")  # fmt: skip
        value: list[JSON] = [
            {
                "transfer": "upload" if one.upload else "download",
                "key": str(one.key),
                "file": one.file or None,
                "remote": one.other,
            }
            for one in running
        ]
        return Stat("transfers in progress", "" if running else "none", value, tuple(lines))

    def _disk_space(self) -> Stat:
        repository = self._session.repository
        reserve = parse_reserve(repository.config.get("annex.diskreserve"))
        free = max(0, free_bytes(repository.annex_dir) - reserve)
        text = f"{self._shown(free)} (+{self._shown(reserve)} reserved)"
        return Stat("available local disk space", text, text)

    def _sizes_of_repositories(self) -> dict[UUID, int]:
        sizes = self._session.preferences.sizes.sizes()
        return {
            uuid: size
            for uuid, size in sizes.items()
            if size and self._session.trust(uuid) is not TrustLevel.DEAD
        }

    # Of remotes and other repositories

    def of_remote(self, settings: RemoteSettings) -> Iterator[Stat]:
        """Give what there is to know of a remote."""
        uuid = settings.uuid
        if uuid is not None:
            yield from self._about(uuid)
        else:
            yield from (_text("uuid", ""), _text("description", ""))
            yield _text("trust", TrustLevel.SEMITRUSTED.name.lower())
        yield _text("remote", settings.name)
        yield _text("cost", str(settings.cost))
        config = {} if uuid is None else self._session.logs.remote_configs().get(uuid, {})
        is_special = settings.kind is Kind.SPECIAL
        yield _text("type", config.get("type", "") if is_special else "git")
        yield _text("available", _bool(_is_available(settings)))
        if not is_special:
            yield from self._of_git_remote(settings)
        if not self._fast:
            yield from self._remote_keys(uuid)

    def _of_git_remote(self, settings: RemoteSettings) -> Iterator[Stat]:
        yield _text("repository location", _location(settings))
        yield _text("last synced", self._last_synced(settings.name))
        yield _text("proxied", _bool(settings.is_proxied))
        if settings.uuid is not None:
            yield from self._cluster_stats(settings.name, settings.uuid)

    def of_built_in(self, uuid: UUID) -> Iterator[Stat]:
        """Give what there is to know of a special remote that every repository has."""
        yield from self._about(uuid)
        yield _text("remote", BUILT_IN[uuid])
        yield _text("cost", BUILT_IN_COST)
        yield _text("type", BUILT_IN[uuid])
        yield _text("available", _bool(True))
        if not self._fast:
            yield from self._remote_keys(uuid)

    def of_uuid(self, uuid: UUID) -> Iterator[Stat]:
        """Give what there is to know of a repository that is no remote."""
        yield from self._about(uuid)
        if not self._fast:
            yield from self._remote_keys(uuid)

    def _about(self, uuid: UUID) -> Iterator[Stat]:
        yield _text("uuid", uuid)
        yield _text("description", self._session.names.shown(uuid))
        yield _text("trust", self._session.trust(uuid).name.lower())

    def _cluster_stats(self, name: str, uuid: UUID) -> Iterator[Stat]:
        if is_cluster_uuid(uuid):
            yield _text("cluster", "true")
        published = self._session.logs.all_proxies().get(uuid, frozenset())
        clusters = [one for one in sorted(published) if is_cluster_uuid(one.uuid)]
        others = [one for one in sorted(published) if not is_cluster_uuid(one.uuid)]
        if clusters:
            names = " ".join(f"{name}-{one.name}" for one in clusters)
            yield _text("gateway to cluster", names)
        if others:
            yield _text("proxying", " ".join(f"{name}-{one.name}" for one in others))

    def _remote_keys(self, uuid: UUID | None) -> Iterator[Stat]:
        logs = self._session.logs
        nodes = {uuid} if uuid is not None else set()
        if uuid is not None and is_cluster_uuid(uuid):
            nodes = set(logs.clusters().get(uuid, ()))
        tally = _tally(key for key, where in logs.scan_locations() if not nodes.isdisjoint(where))
        yield Stat("remote annex keys", str(tally.count), tally.count)
        yield self._size("remote annex size", tally)

    def _last_synced(self, name: str) -> str:
        """Give when something was last fetched from a remote: when a ref changed."""
        refs = os.path.join(self._session.repository.common_dir, "refs", "remotes", name)
        files = [os.path.join(top, file) for top, _, found in os.walk(refs) for file in found]
        if not files:
            return "never"
        when = max(os.stat(file).st_mtime for file in files)
        moment = datetime.datetime.fromtimestamp(when, datetime.UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S UTC")

    # Of files

    def of_file(self, file: AnnexedFile) -> Iterator[Stat]:
        """Give what there is to know of one annexed file."""
        tally = _tally([file.key])
        yield _text("file", file.shown)
        yield self._size("size", tally)
        yield _text("key", str(file.key))
        present = self._session.is_present(file.key)
        yield Stat("present", _bool(present), present)

    def of_directory(self, name: str, keys: Iterable[tuple[str, Key]]) -> Iterator[Stat]:
        """Give what there is to know of the annexed files below a directory."""
        found = list(keys)
        yield _text("directory", name)
        yield from self._of_files(found, "working tree")

    def of_tree(self, name: str, keys: Iterable[tuple[str, Key]]) -> Iterator[Stat]:
        """Give what there is to know of the annexed files in a commit or tree."""
        found = list(keys)
        yield _text("tree", name)
        yield from self._of_files(found, "tree")

    def _of_files(self, found: list[tuple[str, Key]], where: str) -> Iterator[Stat]:
        session = self._session
        local, files = Tally(), Tally()
        for _, key in found:
            files.add(key)
            if session.is_present(key):
                local.add(key)
        yield Stat("local annex keys", str(local.count), local.count)
        yield self._size("local annex size", local)
        yield Stat(f"annexed files in {where}", str(files.count), files.count)
        yield self._size(f"size of annexed files in {where}", files)
        if self._fast:
            return
        yield self._numcopies(found if where == "working tree" else [])
        tallies: dict[UUID, Tally] = {}
        for _, key in found:
            places = session.places(key)
            for uuid in (*places.counted, *places.untrusted):
                tallies.setdefault(uuid, Tally()).add(key)
        sizes = {uuid: tally.size for uuid, tally in tallies.items() if tally.size}
        yield self._sizes("repositories containing these files", str(len(sizes)), sizes)
        total = Tally()
        for tally in tallies.values():
            total += tally
        yield self._size("combined size of repositories containing these files", total)

    def _numcopies(self, found: list[tuple[str, Key]]) -> Stat:
        session = self._session
        counts: Counter[int] = Counter()
        for path, key in found:
            wanted = session.copies.of_file(path).numcopies
            counts[len(session.places(key).counted) - wanted] += 1
        ordered = sorted(counts.items(), reverse=True)
        lines = [f"numcopies {variance:+d}: {count}" for variance, count in ordered]
        value: list[JSON] = [[f"{variance:+d}", count] for variance, count in ordered]
        return Stat("numcopies stats", "", value, tuple(lines))

    # Showing

    def _entry(self, uuid: UUID, **more: JSON) -> Mapping[str, JSON]:
        names = self._session.names
        return {
            "description": names.in_json(uuid), "here": uuid == self._session.here, "uuid": uuid,
            **more,
        }  # fmt: skip

    def _sizes(self, name: str, text: str, sizes: Mapping[UUID, int]) -> Stat:
        ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
        show = str if self._in_bytes else rough_size
        width = max((len(show(size)) for _, size in ordered), default=0)
        lines = [
            f"{show(size):>{width}}: {self._session.names.line(uuid)}" for uuid, size in ordered
        ]
        value: list[JSON] = [self._entry(uuid, size=show(size)) for uuid, size in ordered]
        return Stat(name, text, value, tuple(lines))

    def _size(self, name: str, tally: Tally) -> Stat:
        text = self._shown(tally.size)
        if tally.unknown:
            text += f" (+ {tally.unknown} unknown size)"
        return Stat(name, text, text)

    def _shown(self, size: int) -> str:
        return str(size) if self._in_bytes else rough_size(size, long=True)


def _tally(keys: Iterable[Key]) -> Tally:
    tally = Tally()
    for key in keys:
        tally.add(key)
    return tally


def _text(name: str, text: str) -> Stat:
    return Stat(name, text, text)


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _binary(size: int) -> str:
    return rough_size(size, long=True, units=BINARY_UNITS)


def _percent(part: int, whole: int) -> str:
    text = f"{100 * part / whole:.1f}".removesuffix(".0")
    return f"{text}%"


def _location(settings: RemoteSettings) -> str:
    """Give where a remote is, as the real program writes it."""
    is_relative = settings.kind is Kind.PATH and not settings.git_url.startswith(("/", "file:"))
    return f"./{settings.git_url}" if is_relative else settings.git_url


def _is_available(settings: RemoteSettings) -> bool:
    """Tell whether a remote's disk is there; remotes over the network are taken to be."""
    return settings.kind is not Kind.PATH or os.path.isdir(settings.location)
