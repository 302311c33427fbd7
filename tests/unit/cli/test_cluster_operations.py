"""`shoal cluster` rebalance, drain, heal and scrub as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.cli.main import main
from tests.support.gateway import Gateway, objects_of
from tests.support.quick_cluster import assert_whole, fill, logged, make_cluster, want
from tests.support.raw_http import key_of
from tests.support.world import World

CONTENT = b"content\n"
KEY = key_of(CONTENT)


@pytest.fixture
def gateway(world: World, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A cluster of two nodes; the one key is on node1, which does not want it."""
    made = make_cluster(world, 2)
    fill(made, {KEY: CONTENT}, "node1")
    want(made, node1="nothing", node2="anything")
    monkeypatch.chdir(made.path)
    return made


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["cluster", *words])
    out, err = capsys.readouterr()
    return code, out, err


def records(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_dry_run(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = shown(capsys, "rebalance", "--dry-run")
    assert (code, out.splitlines()) == (
        0,
        [
            f"{KEY}: copy to node2; drop from node1 (wanted by node2, not wanted by node1)",
            "    before      after  node",
            "       8 B        0 B  node1",
            "       0 B        8 B  node2",
            "1 copy (8 B) and 1 drop (8 B) of 1 key",
        ],
    )
    assert logged(gateway, KEY) == {"node1"}
    code, out, _ = shown(capsys, "rebalance", "--dry-run", "--json")
    plan, total = records(out)
    assert plan["copy-to"][0]["name"] == "node2"
    assert (total["keys"], total["bytes-copied"], total["blocked"]) == (1, 8, 0)


def test_without_a_terminal_somebody_has_to_say_yes(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = shown(capsys, "rebalance")
    assert (code, out) == (1, "")
    assert "say --yes" in err
    assert logged(gateway, KEY) == {"node1"}


def test_on_a_terminal_it_asks(
    gateway: Gateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    code, out, _ = shown(capsys, "rebalance")
    assert code == 1
    assert out.endswith("1 copy (8 B) and 1 drop (8 B) of 1 key\nDo this? [y/N] ")
    assert logged(gateway, KEY) == {"node1"}
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    code, _, _ = shown(capsys, "rebalance")
    assert (code, logged(gateway, KEY)) == (0, {"node2"})


def test_json(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = shown(capsys, "rebalance", "--yes", "--json")
    copy, drop, total = records(out)
    assert code == 0
    assert (copy["command"], copy["key"], copy["success"]) == ("copy", KEY, True)
    assert copy["note"] == "to node2...\nfrom node1..."
    assert (drop["command"], drop["note"]) == ("drop", "from node1...")
    assert drop["from"] == {"name": "node1", "uuid": gateway.uuid_of(gateway.nodes[0])}
    assert (total["command"], total["copies"], total["drops"]) == ("cluster rebalance", 1, 1)
    assert total["success"] is True
    assert_whole(gateway, {KEY: CONTENT})


def test_draining_and_taking_it_back(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = shown(capsys, "drain", "node1", "--yes", "-J2", "--limit-rate=1GB")
    assert code == 0
    assert "node1 is empty. To take it out of the cluster:\n  git config --unset" in out
    assert logged(gateway, KEY) == {"node2"}
    code, out, _ = shown(capsys, "drain", "node1", "--undo", "--json")
    (record,) = records(out)
    assert (code, record["success"], record["input"]) == (0, True, ["node1"])
    code, out, err = shown(capsys, "drain", "node1", "--undo")
    assert (code, out) == (1, "cluster drain node1 \nfailed\n")
    assert err == "shoal: node1 is not being drained\ncluster drain: 1 failed\n"
    code, _, err = shown(capsys, "drain", "gateway", "--yes")
    assert (code, err) == (1, 'shoal: "gateway" is no node of the cluster mycluster\n')


def test_a_node_that_cannot_be_emptied(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["numcopies", "2"])
    capsys.readouterr()
    code, out, err = shown(capsys, "drain", "node1", "--yes")
    assert code == 1
    assert "node1 is empty" not in out
    assert f"node1 still has 1 key, such as {KEY}" in err
    assert logged(gateway, KEY) == {"node1", "node2"}


def test_content_that_no_log_names_is_not_thrown_away(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["setpresentkey", KEY, gateway.uuid_of(gateway.nodes[0]), "0"])
    capsys.readouterr()
    code, _, err = shown(capsys, "drain", "node1", "--yes")
    assert code == 1
    assert "1 object that no log names" in err
    assert "git annex fsck --all" in err


def test_a_limit_ends_it_with_a_code_of_its_own(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = shown(capsys, "rebalance", "--yes", "--max-transfer=7")
    assert (code, logged(gateway, KEY)) == (101, {"node1"})
    assert "Run it again to go on" in err
    code, _, _ = shown(capsys, "rebalance", "--yes", "--time-limit=0s")
    assert code == 101
    code, _, err = shown(capsys, "rebalance", "--yes", "--limit-rate=fast")
    assert (code, err.splitlines()[0]) == (
        1,
        'option --limit-rate: "fast" is not a size (expected eg "10MB")',
    )


def test_a_node_that_is_down(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.take_away(gateway.nodes[1])
    code, _, err = shown(capsys, "rebalance", "--yes")
    assert code == 1
    assert "node2 is not available" in err
    assert logged(gateway, KEY) == {"node1"}


def test_scrub_and_heal(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    want(gateway, node1="anything")
    code, _, _ = shown(capsys, "heal", "--yes")
    assert (code, logged(gateway, KEY)) == (0, {"node1", "node2"})
    (path,) = objects_of(gateway.nodes[0], KEY)
    path.chmod(0o644)
    path.write_bytes(b"CONTENT\n")
    code, out, err = shown(capsys, "scrub", "--json")
    assert "replaced" not in err
    bad, copy, *nodes = records(out)
    assert code == 0
    assert (bad["command"], bad["key"]) == ("scrub", KEY)
    assert "moved to" in str(bad["note"])
    assert copy["command"] == "copy"
    assert {node["node"]["name"]: (node["bad"], node["healed"]) for node in nodes} == {
        "node1": (1, 1),
        "node2": (0, 0),
    }
    assert (gateway.nodes[0] / "annex" / "bad" / KEY).read_bytes() == b"CONTENT\n"
    assert_whole(gateway, {KEY: CONTENT}, copies=2)
    code, out, _ = shown(capsys, "scrub", "--since=1h", "--node=node1")
    assert (code, out) == (0, "node1: all was verified not long ago\n")


def test_the_only_copy_is_bad(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = objects_of(gateway.nodes[0], KEY)
    path.chmod(0o644)
    path.write_bytes(b"CONTENT\n")
    code, out, err = shown(capsys, "scrub")
    assert code == 1
    assert "no other copy of it is known" in err
    assert "node1: 1 key, 16 B: 1 bad" in out
    assert "1 copy not replaced. To try again: shoal cluster heal" in err
    assert (Path(gateway.nodes[0]) / "annex" / "bad" / KEY).exists()
    assert logged(gateway, KEY) == set()
