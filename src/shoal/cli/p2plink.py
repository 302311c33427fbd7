"""Making a peer a remote: for `shoal p2p --link` and `--pair`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.errors import RemoteUnavailable, ShoalError

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.p2paddress import P2PAddress


def connect(repository: Repository, name: str, address: P2PAddress, token: str) -> None:
    """Add a git remote for a peer that answers. Raises ShoalError."""
    import asyncio

    from shoal.git.p2pcreds import P2PCredentials
    from shoal.remotes.p2psocket import ask_who

    try:
        uuid = asyncio.run(ask_who(address, repository.uuid, token))
    except RemoteUnavailable as error:
        raise ShoalError(
            "Unable to connect with peer. Please check that the peer is connected to the"
            f" network, and try again. ({error.cause})"
        ) from error
    if uuid is None:
        raise ShoalError(
            "Unable to authenticate with peer. Please check the address and try again."
        )
    repository.git.run("remote", "add", name, str(address))
    repository.config.set(f"remote.{name}.annex-uuid", uuid)
    P2PCredentials(repository).keep_token(address, token)
