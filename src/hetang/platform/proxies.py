"""Who really asks, behind proxies: the caller's address and scheme, believed from named proxies only. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
_MOST_HOPS = 32  # of a header that somebody may have written himself


@dataclass(frozen=True)
class Caller:
    """The caller's address, and whether the way from there to us was encrypted."""

    address: str
    secure: bool


def networks(names: Sequence[str]) -> list[Network]:
    """Networks as the settings name them."""
    return [ip_network(name, strict=False) for name in names]


def caller(peer: str, forwarded_for: str, forwarded_proto: str, secure: bool, trusted: Sequence[Network]) -> Caller:
    """Who asks. `peer` is the other end of the connection; the headers count only when that is a trusted proxy.

    `X-Forwarded-For` is read from its end: each proxy appends whom it saw, so what stands before the first address that
    is no trusted proxy was written by the caller and proves nothing.
    """
    if not is_within(peer, trusted):
        return Caller(peer, secure)
    found = peer
    for hop in reversed(forwarded_for.split(",")[-_MOST_HOPS:]):
        address = _address(hop)
        if address is None:
            break
        found = str(address)
        if not is_within(found, trusted):
            break
    return Caller(found, forwarded_proto.strip().lower() == "https" if forwarded_proto else secure)


def is_within(text: str, some: Sequence[Network]) -> bool:
    """Whether an address lies in one of the networks; False for what is no address."""
    address = _address(text)
    return address is not None and any(address in one for one in some if one.version == address.version)


def _address(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
