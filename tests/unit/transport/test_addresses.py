"""Which addresses may be connected to."""

from __future__ import annotations

import pytest

from shoal.transport.addresses import PUBLIC_ONLY, AllowedAddresses

PRIVATE = [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1", "64:ff9b::c0a8:101", "224.0.0.1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_permission(address: str) -> None:
    assert not PUBLIC_ONLY.allow(address, 80)
    assert AllowedAddresses.parse("all").allow(address, 80)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8"])
def test_public_ones_do_not(address: str) -> None:
    assert PUBLIC_ONLY.allow(address, 80)


def test_addresses_can_be_listed() -> None:
    allowed = AllowedAddresses.parse("127.0.0.1 [::1]:80 nonsense [10.0.0.1]:x")
    assert allowed.allow("127.0.0.1", 1234)
    assert allowed.allow("::1", 80)
    assert not allowed.allow("::1", 81)
    assert not allowed.allow("127.0.0.2", 80)
    assert not allowed.allow("10.0.0.1", 80)


@pytest.mark.parametrize("setting", [None, "", "  ", "all 1.2.3.4", "ALL"])
def test_nothing_else_opens_everything(setting: str | None) -> None:
    assert not AllowedAddresses.parse(setting).allow("127.0.0.1", 80)
