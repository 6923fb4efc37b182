"""Whose word about the caller counts."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetang.platform import proxies

TRUSTED = proxies.networks(["10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "header", "caller"),
    [
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),  # a stranger who says that he is a proxy
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7"),  # what the caller wrote himself
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),  # two of our proxies
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "rubbish", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, rubbish, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("::1", "[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
    ],
)
def test_the_caller_is_the_last_address_that_no_trusted_proxy_has(peer: str, header: str, caller: str) -> None:
    assert proxies.caller(peer, header, "", False, TRUSTED).address == caller


@pytest.mark.parametrize(
    ("peer", "proto", "secure"), [("10.0.0.1", "https", True), ("10.0.0.1", "http", False), ("8.8.8.8", "https", False)]
)
def test_encryption_is_believed_from_trusted_proxies_only(peer: str, proto: str, secure: bool) -> None:
    assert proxies.caller(peer, "", proto, False, TRUSTED).secure is secure


@given(st.text(max_size=60), st.ip_addresses())
def test_no_header_of_the_callers_own_moves_him(written: str, real: ipaddress.IPv4Address) -> None:
    if proxies.is_within(str(real), TRUSTED):
        return
    found = proxies.caller("10.0.0.1", f"{written}, {real}", "", False, TRUSTED)
    assert ipaddress.ip_address(found.address) == (getattr(real, "ipv4_mapped", None) or real)
