"""sendkey and recvkey of shoal-shell: content by rsync, for gcrypt's and very old clients.

rsync runs here as the server that the client's rsync talks to; our stdin and stdout are its.
Source: what git-annex-shell 10.20261026 runs.
"""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

from shoal.errors import ShoalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.git.receive import Receiving
    from shoal.git.repository import Repository
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_SERVER = ("rsync", "--server", "-t", "--inplace", "-e.Lsf", ".")


def send_key(
    repository: Repository, key: Key, client: UUID, complain: Callable[[str], None]
) -> bool:
    """Send a content to a client's rsync; tell whether it was sent.

    Raises ShoalError when there is no rsync, OSError when the content cannot be looked for.
    """
    path = repository.objects.content_path(key)
    if path is None:
        complain("  requested key is not present")
        return False
    transfer = repository.objects.transfers.begin_upload(key, client)
    sent = False
    try:
        sent = _run(*_SERVER, "--sender", path)
    finally:
        if transfer is not None:
            transfer.end(failed=not sent)
    return sent


def receive_key(
    repository: Repository, key: Key, client: UUID, complain: Callable[[str], None]
) -> bool:
    """Receive a content from a client's rsync; tell whether it is here now, verified.

    Raises ShoalError when it may not be received, or there is no rsync.
    """
    receiving = repository.objects.receive(key, client)
    try:
        repository.make_directory(repository.annex_path("tmp"))
        if not _run(*_SERVER, repository.objects.temp_path(key)):
            return False
        if not _finish(repository, receiving, key):
            complain("  Verification of content failed")
            receiving.discard()
            return False
        receiving.end(failed=False)
        return True
    finally:
        if not receiving.over:
            receiving.end(failed=True)


def _finish(repository: Repository, receiving: Receiving, key: Key) -> bool:
    """Put what was received in place and record that, if it is the key's content."""
    from shoal.values.backend import verifier

    receiving.filled()
    verifying = verifier(key)
    if verifying is not None:
        receiving.hash_written(verifying, 0, receiving.received)
        if not verifying.matches():
            return False
    elif key.size is not None and receiving.received != key.size:
        return False
    receiving.finish()
    if repository.config.get("annex.uuid"):  # a repository of gcrypt keeps no logs
        from shoal.cli.shellserve import record_present

        asyncio.run(record_present(repository, key))
    return True


def _run(*words: str) -> bool:
    try:
        return subprocess.call(words) == 0
    except FileNotFoundError as error:
        raise ShoalError("rsync is not installed on this server") from error
