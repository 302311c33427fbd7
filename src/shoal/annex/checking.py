"""Asking remotes whether they have a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.annex.network import is_on_this_machine
from shoal.annex.sending import explain
from shoal.errors import ConfigError, RemoteError, ShoalError

if TYPE_CHECKING:
    from shoal.annex.network import Network
    from shoal.remotes.settings import RemoteSettings
    from shoal.values.key import Key


async def is_present(network: Network, settings: RemoteSettings, key: Key) -> bool | None:
    """Tell whether a remote has a key; None when it does not answer."""
    try:
        return await network.open(settings).check_present(key)
    except (RemoteError, ConfigError):
        return None


async def is_present_anywhere(network: Network, key: Key) -> tuple[bool | None, list[str]]:
    """Tell whether some remote has a key, those first that are logged to have it.

    None, and the names of the remotes that did not answer, when it may be with one of these.
    """
    logged = network.with_key(key)
    silent = []
    for settings in [*logged, *(one for one in network.usable if one not in logged)]:
        present = await is_present(network, settings, key)
        if present:
            return True, []
        if present is None:
            silent.append(settings.name)
    return (None if silent else False), silent


def unable_to_check(error: ShoalError, settings: RemoteSettings) -> str:
    """Say why it is not known whether a remote has a key, as the real program words it."""
    if is_on_this_machine(settings):
        return f"unable to check {settings.name}"
    return explain(error, settings)
