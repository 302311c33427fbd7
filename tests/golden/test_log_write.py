"""Files of the git-annex branch become, byte for byte, what the real program made of them.

Each vector has the files before, a command, its clock (GIT_ANNEX_VECTOR_CLOCK) and the files
after it, captured from git-annex 10.20261026. Here the command is carried out on the logs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.logs import (
    config,
    group,
    group_preferred,
    location,
    maxsize,
    metadata,
    mincopies,
    numcopies,
    preferred,
    remote,
    required,
    schedule,
    trust,
    uuid,
    web,
)
from shoal.logs.metadata import Changes
from shoal.logs.trust import TrustLevel
from shoal.values.clock import Clock, parse_clock
from shoal.values.key import Key
from shoal.values.size import parse_size
from shoal.values.uuid import UUID, parse_uuid

_FIXTURES = Path(__file__).parents[1] / "fixtures" / "on-disk"
Files = dict[str, bytes]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _cases() -> list[Any]:
    cases = []
    for name in ("log-write", "log-write-more"):
        vectors = json.loads((_FIXTURES / f"{name}.json").read_text())
        for number, case in enumerate(vectors["cases"]):
            before = {"uuid.log": vectors["uuid_log_always"], **case["before"]}
            cases.append(pytest.param(case, before, id=f"{name}-{number}-{case['case']}"))
    return cases


class _Branch:
    """The files, and the commands of the vectors as changes of them."""

    def __init__(self, files: Files, now: Clock) -> None:
        self.files = files
        self.now = now

    def change(self, path: str, change: Callable[[bytes], bytes | None]) -> None:
        after = change(self.files.get(path, b""))
        if after is not None:
            self.files[path] = after

    def run(self, command: str, *words: str) -> None:
        getattr(self, f"_{command}")(*words)

    def _setpresentkey(self, key: str, repo: str, present: str) -> None:
        self._location(key, UUID(repo), present == "1")

    def _location(self, key: str, repo: UUID, present: bool) -> None:
        path = location.path(Key.parse(_encode(key)))
        self.change(path, lambda log: location.change(log, repo, present, self.now))

    def _trust_level(self, words: tuple[str, ...], level: TrustLevel) -> None:
        repo = parse_uuid(words[-1])
        self.change(trust.PATH, lambda log: trust.change(log, repo, level, self.now))

    def _trust(self, *words: str) -> None:
        self._trust_level(words, TrustLevel.TRUSTED)

    def _untrust(self, *words: str) -> None:
        self._trust_level(words, TrustLevel.UNTRUSTED)

    def _semitrust(self, *words: str) -> None:
        self._trust_level(words, TrustLevel.SEMITRUSTED)

    def _dead(self, *words: str) -> None:
        if words[0] == "--key":
            self.change(location.path(Key.parse(_encode(words[1]))), location.set_dead)
        else:
            self._trust_level(words, TrustLevel.DEAD)

    def _groups(self, repo: str, new: Callable[[frozenset[bytes]], frozenset[bytes]]) -> None:
        def change(log: bytes) -> bytes:
            old = group.parse(log).get(UUID(repo), frozenset())
            return group.change(log, UUID(repo), new(old), self.now)

        self.change(group.PATH, change)

    def _group(self, repo: str, name: str) -> None:
        self._groups(repo, lambda old: old | {_encode(name)})

    def _ungroup(self, repo: str, name: str) -> None:
        self._groups(repo, lambda old: old - {_encode(name)})

    def _wanted(self, repo: str, expression: str) -> None:
        text = _encode(expression)
        self.change(preferred.PATH, lambda log: preferred.change(log, UUID(repo), text, self.now))

    def _required(self, repo: str, expression: str) -> None:
        text = _encode(expression)
        self.change(required.PATH, lambda log: required.change(log, UUID(repo), text, self.now))

    def _groupwanted(self, name: str, expression: str) -> None:
        text = _encode(expression)
        self.change(
            group_preferred.PATH,
            lambda log: group_preferred.change(log, _encode(name), text, self.now),
        )

    def _numcopies(self, number: str) -> None:
        self.change(numcopies.PATH, lambda log: numcopies.change(log, int(number), self.now))

    def _mincopies(self, number: str) -> None:
        self.change(mincopies.PATH, lambda log: mincopies.change(log, int(number), self.now))

    def _maxsize(self, repo: str, size: str) -> None:
        self.change(
            maxsize.PATH, lambda log: maxsize.change(log, UUID(repo), parse_size(size), self.now)
        )

    def _config(self, option: str, name: str, value: str = "") -> None:
        assert option in {"--set", "--unset"}
        self.change(
            config.PATH, lambda log: config.change(log, _encode(name), _encode(value), self.now)
        )

    def _describe(self, repo: str, text: str) -> None:
        self.change(uuid.PATH, lambda log: uuid.change(log, UUID(repo), _encode(text), self.now))

    def _schedule(self, repo: str, text: str) -> None:
        activities = _encode(text).split(b"; ")
        self.change(
            schedule.PATH, lambda log: schedule.change(log, UUID(repo), activities, self.now)
        )

    def _metadata(self, key: str, *words: str) -> None:
        path = metadata.path(Key.parse(_encode(key.removeprefix("--key="))))
        now_set = metadata.current(self.files.get(path, b""))
        changes = Changes()
        queue = list(words)
        while queue:
            word = queue.pop(0)
            if word == "--remove-all":
                changes = changes.overridden_by(metadata.removing_all(now_set))
            elif word == "-r":
                changes = changes.overridden_by(metadata.removing_field(now_set, queue.pop(0)))
            else:
                assert word == "-s"
                changes = changes.overridden_by(_modification(now_set, queue.pop(0)))
        self.change(path, lambda log: metadata.change(log, changes, self.now))

    def _registerurl(self, key: str, url: str) -> None:
        path = web.path(Key.parse(_encode(key)))
        self.change(path, lambda log: web.add(log, _encode(url), self.now))
        if web.is_web(_encode(url)):
            self._location(key, web.WEB_UUID, True)

    def _unregisterurl(self, key: str, url: str) -> None:
        path = web.path(Key.parse(_encode(key)))
        self.change(path, lambda log: web.remove(log, _encode(url), self.now))
        if web.is_web(_encode(url)) and not any(map(web.is_web, web.parse(self.files[path]))):
            self._location(key, web.WEB_UUID, False)

    def _configremote(self, name: str, setting: str) -> None:
        key, _, value = setting.partition("=")

        def change(log: bytes) -> bytes:
            configs = remote.parse(log)
            repo = next(u for u, values in configs.items() if remote.name_of(values) == name)
            return remote.change(log, repo, {**configs[repo], key: value}, self.now)

        self.change(remote.PATH, change)


def _modification(now_set: dict[str, frozenset[bytes]], word: str) -> Changes:
    name, _, text = word.partition("=")
    value = _encode(text)
    match name[-1]:
        case "+":
            return metadata.adding(name[:-1], value)
        case "-":
            return metadata.removing(name[:-1], value)
        case "?":
            return metadata.setting_if_unset(now_set, name[:-1], value)
        case _:
            return metadata.setting(now_set, name, [value])


@pytest.mark.parametrize(("case", "before"), _cases())
def test_a_log_becomes_what_the_real_program_made_of_it(
    case: dict[str, Any], before: dict[str, str]
) -> None:
    files = {path: _encode(text) for path, text in before.items() if text is not None}
    branch = _Branch(files, parse_clock(_encode(case["clock"])))
    command, *words = case["command"]
    branch.run(command, *(word for word in words if word != "--force"))
    for path, text in case["after"].items():
        assert branch.files.get(path) == (None if text is None else _encode(text))
