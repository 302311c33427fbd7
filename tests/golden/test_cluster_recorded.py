"""Sessions with the real program's cluster of three nodes, replayed against ours.

Recorded with git-annex 10.20261026. Where the real gateway fails because of a known weakness,
what ours answers is written down here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import RemoteUnavailable
from shoal.p2p.server import Access
from shoal.remotes.base import Remote
from shoal.server.p2p_session import serve_p2p
from shoal.transport.memory import memory_streams
from shoal.values.uuid import UUID
from tests.support.fake_cluster import GATEWAY, FakeCluster
from tests.support.loop import in_loop
from tests.support.memory_remote import key_of

FIXTURES = Path(__file__).parent.parent / "fixtures" / "proxy-cluster"
UUIDS = json.loads((FIXTURES / "logs.json").read_text())["b"]["uuids"]
SESSIONS = json.loads((FIXTURES / "wire-scripted-sessions.json").read_text())
PLUS = f"{UUIDS['n3']} {UUIDS['n2']} {UUIDS['n1']}"

# The sessions are about the process around them, or the real one only goes away.
ELSEWHERE = {
    "NOTIFYCHANGE",
    "PUT unparsable/unknown then continue",
    "UNLOCKCONTENT out of order",
    "second VERSION",
    "unknown cluster uuid",
    "unknown uuid",
    "known but not proxied uuid (client other)",
    "unknown message after a normal one",
    "ERROR from client",
}

# What ours says, after the greeting and VERSION, where the real one is wrong or gone.
OURS = {
    "PUT with n2 unavailable": ["PUT-FROM 0", f"SUCCESS-PLUS {UUIDS['n3']} {UUIDS['n1']}"],
    "PUT again with n2 unavailable (n2 only missing)": [
        f"ALREADY-HAVE-PLUS {UUIDS['n3']} {UUIDS['n1']}"
    ],
    "CHECKPRESENT with n2 gone": ["SUCCESS"],
    "REMOVE with n2 gone": [f"FAILURE-PLUS {UUIDS['n3']} {UUIDS['n1']}"],
    "GETTIMESTAMP+REMOVE-BEFORE with n2 gone": [
        "TIMESTAMP 5000",
        f"FAILURE-PLUS {UUIDS['n3']} {UUIDS['n1']}",
    ],
    "PUT with all unavailable": ["ERROR remote"],
    "REMOVE with all unavailable": ["ERROR remote", "ERROR remote"],
    "DATA-PRESENT none have": [f"ALREADY-HAVE-PLUS {PLUS}", "ERROR unexpected command"],
    "PUT when n1 already has (log ignorant)": ["PUT-FROM 0", f"SUCCESS-PLUS {PLUS}"],
    "CHECKPRESENT n1 has it, log ignorant": ["SUCCESS"],
}

# What the client would have gone on to send.
MORE = {"PUT with n2 unavailable": ["DATA 3000", "[3000 bytes]", "VALID"]}


def content_of(size: int) -> bytes:
    return (b"%d bytes. " % size * (size // 8 + 1))[:size]


@dataclass
class Scenario:
    """The cluster of scenario b, through several sessions."""

    rig: FakeCluster

    @classmethod
    def new(cls) -> Scenario:
        nodes = [UUID(UUIDS[name]) for name in ("n1", "n2", "n3")]
        rig = FakeCluster(3, uuid=UUID(UUIDS["CLUSTER"]), uuids=nodes)
        for remote in rig.remotes:
            remote.clock = 5000
        return cls(rig)

    def remote(self, name: str) -> Remote:
        if name == "<CLUSTER>":
            return self.rig.cluster
        return self.rig.remotes[int(name.strip("<n>")) - 1]

    def down(self, *numbers: int) -> None:
        """Let nodes be away, and all others be there."""
        for number, remote in enumerate(self.rig.remotes, 1):
            remote.heal()
            if number in numbers:
                for verb in ("begin_store", "check_present", "remove", "retrieve", "timestamp"):
                    remote.fail(verb, times=None)

    def partial(self, size: int, *sizes: int) -> None:
        """Let nodes have first parts of the content of `size` bytes, and nothing else."""
        self.down()
        content = content_of(size)
        for remote, have in zip(self.rig.remotes, sizes, strict=True):
            remote.objects.clear()
            remote.partial = {key_of(content): content[:have]} if have else {}
        self.rig.records.log.clear()

    def forget(self, size: int) -> None:
        """Let the log know nothing, so that all nodes are asked."""
        self.rig.records.log.clear()

    def only(self, number: int, size: int) -> None:
        """Let one node have a content, and the log know nothing of it."""
        self.partial(size, 0, 0, 0)
        self.rig.remotes[number - 1].put(content_of(size))


PREPARE: dict[str, Callable[[Scenario], None]] = {
    "PUT with n2 unavailable": lambda s: s.down(2),
    "PUT again with n2 unavailable (n2 only missing)": lambda s: s.forget(3000),
    "PUT with all unavailable": lambda s: s.down(1, 2, 3),
    "PUT resume offsets n1=150000 n2=0 n3=40000": lambda s: s.partial(200_000, 150_000, 0, 40_000),
    "PUT resume offsets n1=150000 n2=60000 n3=40000": lambda s: s.partial(
        200_000, 150_000, 60_000, 40_000
    ),
    "PUT offsets n1 tmp complete (200000)": lambda s: s.partial(200_000, 200_000, 60_000, 60_000),
    "DATA-PRESENT, no node has it": lambda s: s.partial(3000, 0, 0, 0),
    "PUT when n1 already has (log ignorant)": lambda s: s.only(1, 3000),
    "CHECKPRESENT n1 has it, log ignorant": lambda s: s.only(1, 3000),
    "BYPASS n1 uuid then PUT": lambda s: s.partial(3000, 0, 0, 0),
}


async def replay(scenario: Scenario, session: dict[str, Any]) -> list[str]:
    """Send what the client of a session sent; give the lines that our server answers."""
    title = session["title"]
    if title in PREPARE:
        PREPARE[title](scenario)
    sent = [line.removeprefix("C: ") for line in session["client"] if line.startswith("C: ")]
    sent = [line for line in sent if line != "(broken pipe)"] + MORE.get(title, [])
    here, there = memory_streams(limit=1 << 30)
    access = Access.READ_ONLY if "readonly" in title else Access.FULL
    access = Access.APPEND_ONLY if "appendonly" in title else access
    remote = scenario.remote(session["uuid"])
    for line in sent:
        await there.send(client_bytes(line, sent, wrong="wrong content" in title))
    await there.end()
    with suppress(RemoteUnavailable):  # some clients go away in the middle
        await serve_p2p(remote, here, client=GATEWAY, access=access)
    await here.end()
    answer = b""
    while received := await there.receive():
        answer += received
    return answer.decode().splitlines()


def client_bytes(line: str, sent: list[str], *, wrong: bool) -> bytes:
    """Give the bytes of a line, or of a piece of content, which ends where the content does
    (but for the piece of a client that dies)."""
    if not line.startswith("["):
        return named(line).encode() + b"\n"
    count = int(line.strip("[] bytes"))
    key = next(found for text in sent if (found := re.search(r"SHA256E-s(\d+)", text)))
    content = b"!" * int(key[1]) if wrong else content_of(int(key[1]))
    announced = next(int(text.split()[1]) for text in sent if text.startswith("DATA "))
    start = len(content) - announced
    return content[start : start + count]


def named(line: str) -> str:
    """Give a line with the names that stand for UUIDs and keys replaced."""
    for name, uuid in UUIDS.items():
        line = line.replace(f"<{name}>", uuid)
    return re.sub(
        r"SHA256E-s(\d+)--HASH", lambda found: str(key_of(content_of(int(found[1])))), line
    )


def expected(session: dict[str, Any]) -> list[str]:
    """Give the lines that the server should answer, an ERROR without its text."""
    said = [line.removeprefix("S: ") for line in session["client"] if line.startswith("S: ")]
    said = [named(line) for line in said if line != "EOF"]
    if session["title"] in OURS:
        return said[: 2 if session["version"] is not None else 1] + OURS[session["title"]]
    return said


@pytest.mark.parametrize("name", ["b-basic", "b-failures-and-offsets"])
@in_loop
async def test_recorded_sessions(name: str) -> None:
    """One after another, in one cluster, as they were recorded."""
    scenario = Scenario.new()
    for session in SESSIONS[name]:
        if session["title"] in ELSEWHERE:
            continue
        answer = await replay(scenario, session)
        answer = [re.sub("^(ERROR remote) .*", r"\1", line) for line in answer]
        assert answer == expected(session), session["title"]
        assert scenario.rig.idle, session["title"]
