"""Calls to addresses that somebody typed into the console: never into our own network.

A name is resolved once, every address that it has must be public (or in a network that the environment allows), and
the connection goes to exactly that address, so that a name that changes its mind in between gains nothing. Redirects
are not followed, proxies of the environment are not used.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
MOST_BYTES = 64 * 1024
# Networks in which an IPv4 address hides: what stands inside is not seen by `is_global`.
_WRAPPING = [ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Forbidden(Exception):
    """The address is none that may be called; `code` says why, for people to be told."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Unreachable(Exception):
    """No usable answer came. The text names the kind of trouble, never the address: that may hold a key."""


@dataclass(frozen=True)
class Target:
    """An address that was looked at and may be called."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


@dataclass(frozen=True)
class Answer:
    """What came back, as far as it was read."""

    status: int
    body: bytes


def post(url: str, body: bytes, headers: Mapping[str, str], allowed: Sequence[str] = ()) -> Answer:
    """POST to an address of the outside. Raises Forbidden or Unreachable; takes at most some ten seconds."""
    target = check(url, allowed)
    connection = _connection(target)
    try:
        connection.request("POST", target.path, body=body, headers={"Host": _host(target), **headers})
        response = connection.getresponse()
        return Answer(response.status, response.read(MOST_BYTES))
    except (OSError, http.client.HTTPException) as problem:
        raise Unreachable(type(problem).__name__) from None
    finally:
        connection.close()


def get(url: str, most: int, allowed: Sequence[str] = ()) -> Answer:
    """GET from an address of the outside: at most `most` bytes and one more, by which a larger answer is known.

    Raises Forbidden or Unreachable; takes at most some ten seconds for each piece that is waited for.
    """
    target = check(url, allowed)
    connection = _connection(target)
    try:
        connection.request("GET", target.path, headers={"Host": _host(target), "Accept": "*/*"})
        response = connection.getresponse()
        return Answer(response.status, response.read(most + 1))
    except (OSError, http.client.HTTPException) as problem:
        raise Unreachable(type(problem).__name__) from None
    finally:
        connection.close()


def check(url: str, allowed: Sequence[str] = ()) -> Target:
    """Whether `url` may be called: https to a public address, or anything in one of the `allowed` networks.

    Raises Forbidden, or Unreachable when the name is not known.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forbidden("no_address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Forbidden("no_address")
    if parts.username is not None or parts.password is not None:
        raise Forbidden("credentials")
    secure = parts.scheme == "https"
    port = port or (443 if secure else 80)
    addresses = _resolve(parts.hostname, port)
    networks = [ipaddress.ip_network(one, strict=False) for one in allowed]
    inside = [_is_in(address, networks) for address in addresses]
    if not all(own or _is_public(address) for own, address in zip(inside, addresses, strict=True)):
        raise Forbidden("private")
    if not secure and not all(inside):
        raise Forbidden("not_encrypted")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path, str(addresses[0]))


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable("UnknownName") from None
    addresses = dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
    return list(addresses)


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    plain = _plain(address)
    return any(plain in network for network in networks if network.version == plain.version)


def _is_public(address: Address) -> bool:
    plain = _plain(address)
    if plain.version == 6 and any(plain in network for network in _WRAPPING):
        return False
    return plain.is_global and not (plain.is_multicast or plain.is_reserved or plain.is_unspecified)


def _host(target: Target) -> str:
    usual = 443 if target.scheme == "https" else 80
    name = f"[{target.host}]" if ":" in target.host else target.host
    return name if target.port == usual else f"{name}:{target.port}"


def _connection(target: Target) -> http.client.HTTPConnection:
    """A connection to the address that was looked at; the certificate must be that of the name."""
    if target.scheme == "http":
        return http.client.HTTPConnection(target.address, target.port, timeout=TIMEOUT_S)
    return _Named(target)


class _Named(http.client.HTTPSConnection):
    def __init__(self, target: Target) -> None:
        self._trusted = ssl.create_default_context()
        super().__init__(target.address, target.port, timeout=TIMEOUT_S, context=self._trusted)
        self._name = target.host

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), TIMEOUT_S)
        self.sock = self._trusted.wrap_socket(plain, server_hostname=self._name)
