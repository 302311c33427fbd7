"""A client of real gateways sees proxied remotes and clusters as git-annex 10.20261026 showed
them (fixtures info-whereis.json and logs.json)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from shoal.values.key import Key
from shoal.values.uuid import UUID, is_cluster_uuid
from tests.support.annexrepo import git, make_annex

FIXTURES = Path(__file__).parent.parent / "fixtures/proxy-cluster"
SEEN = json.loads((FIXTURES / "info-whereis.json").read_text())
LOGS = json.loads((FIXTURES / "logs.json").read_text())
_OF_OTHER_KEYS = re.compile(
    r"^(remote annex keys|remote annex size|last synced): .*\n", re.MULTILINE
)


def shoal(top: Path, *words: str) -> str:
    """Run shoal, which may fail; give its standard output."""
    script = "import sys; from shoal.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", script, *words]
    return subprocess.run(command, cwd=top, capture_output=True, text=True, check=False).stdout


@pytest.fixture(params=sorted(SEEN))
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, object], Path]:
    """The client of a scenario: its remote, the gateway's branch, files and their locations."""
    seen, gateways = SEEN[request.param], LOGS[request.param]["gateways"]
    top = tmp_path / "client"
    first = next(iter(seen["whereis"]))
    here = next(place for place in first["whereis"] if place["here"])
    repository = make_annex(top, uuid=here["uuid"])
    remote = next(name for name in seen["info"] if "-" not in name)
    about = seen["info"][remote]["json"]
    git(top, "config", f"remote.{remote}.url", about["repository location"])
    git(top, "config", f"remote.{remote}.annex-uuid", about["uuid"])
    for path, content in _merged(gateways).items():
        repository.branch.change(path, partial(_replaced, content.encode()))
    repository.logs.set_description(UUID(here["uuid"]), here["description"])
    for file in seen["whereis"]:
        _place(top, file)
        for place in (*file["whereis"], *file["untrusted"]):
            if not is_cluster_uuid(place["uuid"]):
                key = Key.parse(file["key"].encode())
                repository.logs.set_location(key, UUID(place["uuid"]), True)
    repository.branch.commit()
    repository.close()
    return seen, top


def _replaced(new: bytes, old: bytes) -> bytes:
    return new


def _merged(gateways: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    """Give the union of what all gateways have on their branch."""
    merged: dict[str, set[str]] = {}
    for gateway in gateways.values():
        for path, content in gateway["git-annex-branch"].items():
            merged.setdefault(path, set()).update(content.splitlines(keepends=True))
    return {path: "".join(sorted(lines)) for path, lines in merged.items()}


def _place(top: Path, file: dict[str, str]) -> None:
    """Put an annexed file into the work tree and the index."""
    path = top / file["file"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(f".git/annex/objects/xx/yy/{file['key']}/{file['key']}")
    git(top, "add", file["file"])


def test_whereis(scenario: tuple[dict[str, object], Path]) -> None:
    seen, top = scenario
    items = (str(seen["whereis_text"]).rstrip("\n") + "\n").split("ok\n")
    known = [item for item in items if (top / item.split(" ")[-1 if not item else 1]).is_symlink()]
    assert len(known) >= len(items) - 2
    assert shoal(top, "whereis") == "".join(f"{item}ok\n" for item in known)


def test_whereis_as_json(scenario: tuple[dict[str, object], Path]) -> None:
    seen, top = scenario
    shown = [json.loads(line) for line in shoal(top, "whereis", "--json").splitlines()]
    wanted = seen["whereis"]
    assert isinstance(wanted, list)
    assert shown == [{**file, "input": [file["file"]]} for file in wanted]


def test_info(scenario: tuple[dict[str, object], Path]) -> None:
    """All but what depends on keys that the fixtures do not have."""
    seen, top = scenario
    remotes = seen["info"]
    assert isinstance(remotes, dict)
    for name, about in remotes.items():
        shown = shoal(top, "info", name)
        assert _OF_OTHER_KEYS.sub("", shown) == _OF_OTHER_KEYS.sub("", about["text"])
        record = json.loads(shoal(top, "info", "--json", name))
        other = {"remote annex keys", "remote annex size", "last synced"}
        assert {k: v for k, v in record.items() if k not in other} == {
            k: v for k, v in about["json"].items() if k not in other
        }
        assert set(record) == set(about["json"])
