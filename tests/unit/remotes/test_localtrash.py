"""Content goes to the trash before it is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import RemoteRefused
from shoal.remotes.local import LocalRemote
from tests.support.annexrepo import HERE, THERE
from tests.support.localnode import Node
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote
from tests.unit.remotes.contract import CALLER, SMALL, put


@in_loop
async def test_content_goes_to_the_trash_first(tmp_path: Path) -> None:
    """annex.trashbin; without the remote that it names nothing is removed."""
    node = Node(tmp_path, {"annex.trashbin": "bin"})
    key = await put(node.remote, SMALL)
    with pytest.raises(RemoteRefused, match=r"annex\.trashbin"):
        await node.remote.remove(key, caller=CALLER)
    trash = MemoryRemote(uuid=THERE)
    remote = LocalRemote(str(node.path), HERE, trash={"bin": trash}.get)
    assert await remote.check_present(key, caller=CALLER)
    assert (await remote.remove(key, caller=CALLER)).removed
    assert trash.objects[key] == SMALL
    assert node.log(key) == f"0 {HERE}, 1 {THERE}"
    assert (await remote.remove(key, caller=CALLER)).removed
    await remote.aclose()
    await node.remote.aclose()
