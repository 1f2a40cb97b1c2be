"""The guard against server-side request forgery: which addresses, given by outsiders, this service may call.

`check_url` judges what can be seen in a URL; `check_address` judges where its name led, when the socket is made for
that very address: a name that answers differently the second time (DNS rebinding) wins nothing.
"""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

import httpx

from offers.errors import ForbiddenAddressError

MAX_URL_CHARACTERS = 2048

_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
# How inet_aton and the URL standard recognise an IPv4 address, however oddly written: its last label is a number.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_AUTHORITY_END = re.compile(r"[/?#]")
_LOCAL_NAME = re.compile(r"(.+\.)?localhost", re.ASCII)


class Reach(StrEnum):
    """How far an address leads. NEVER holds whatever no setting allows: link-local, multicast, metadata services..."""

    PUBLIC = "public"
    PRIVATE = "private"
    NEVER = "never"


# RFC 1918, RFC 6598 (shared address space, used by overlay networks), RFC 4193, and loopback.
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
    )
)
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments; Python calls some of it global
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "100.100.100.200/32",  # metadata services that live inside the private ranges
        "fd00:ec2::254/128",
        "2002::/16",  # 6to4 carries any IPv4 address; nobody serves push there
        "2001::/23",  # protocol assignments, Teredo among them
        "3fff::/20",  # documentation, RFC 9637, newer than some of our Pythons
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def reach(address: IPv4Address | IPv6Address) -> Reach:
    """Return how far `address` leads; what carries an IPv4 address inside is judged by that.

    >>> reach(ipaddress.ip_address("8.8.8.8")), reach(ipaddress.ip_address("::ffff:169.254.169.254"))
    (<Reach.PUBLIC: 'public'>, <Reach.NEVER: 'never'>)
    """
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return Reach.NEVER
        if address.ipv4_mapped is not None:
            return reach(address.ipv4_mapped)
        if address in _NAT64:
            # RFC 6052, section 3.1: the well-known prefix must not stand for an address that is not global.
            embedded = reach(IPv4Address(int(address) & 0xFFFFFFFF))
            return Reach.PUBLIC if embedded is Reach.PUBLIC else Reach.NEVER
    if any(address in network for network in _NEVER):
        return Reach.NEVER
    if any(address in network for network in _PRIVATE):
        return Reach.PRIVATE
    routable = address.is_global and not address.is_multicast and not address.is_reserved
    if isinstance(address, IPv6Address):
        routable = routable and address in _GLOBAL_UNICAST
    return Reach.PUBLIC if routable else Reach.NEVER


class AddressGuard:
    """Says which addresses may be called. Knows no state: safe to share between threads.

    With `allow_private`, loopback and private ranges are allowed too, and plain http to them (and to nothing else).
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    def check_url(self, url: str) -> None:
        """Raise ForbiddenAddressError if `url` can be refused without asking the DNS; used when an address is saved.

        A URL that passes may still be refused by `check_address`.
        """
        self.parse_url(url)

    def parse_url(self, url: str) -> httpx.URL:
        """Return the URL as the transport will call it, so that no two parsers can disagree; raises as `check_url`."""
        if len(url) > MAX_URL_CHARACTERS:
            raise ForbiddenAddressError("the URL is too long")
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ForbiddenAddressError("not a valid URL") from error
        if parsed.scheme != "https" and not (parsed.scheme == "http" and self._allow_private):
            raise ForbiddenAddressError("only https URLs are called")
        if "@" in _AUTHORITY_END.split(url.partition("://")[2], maxsplit=1)[0]:  # also an empty one
            raise ForbiddenAddressError("a URL must not carry a user name")
        if parsed.port is not None and not 1 <= parsed.port <= 65535:  # noqa: PLR2004 - the range of a TCP port
            raise ForbiddenAddressError("not a port")
        self._check_host(parsed.raw_host.decode("ascii"), plain=parsed.scheme == "http")
        return parsed

    def check_address(self, address: str, *, plain: bool) -> None:
        """Raise ForbiddenAddressError if this IP address may not be connected to.

        `plain` says that the connection will not be encrypted: then the address must be private.
        """
        self._check_address(_parse(address), plain=plain)

    def _check_host(self, host: str, *, plain: bool) -> None:
        """Raise if the host may not be called, as far as that can be seen."""
        if not host:
            raise ForbiddenAddressError("the URL has no host")
        if ":" in host:
            self._check_address(_parse(host), plain=plain)
            return
        name = host.lower().removesuffix(".")
        if _NAME.fullmatch(name) is None:
            raise ForbiddenAddressError("not a host name")
        if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
            # strictly dotted quad: 2130706433, 0x7f.1 and 0177.0.0.1 end here
            self._check_address(_parse(name), plain=plain)
        elif _LOCAL_NAME.fullmatch(name) and not self._allow_private:
            raise ForbiddenAddressError("the host is this machine")

    def _check_address(self, address: IPv4Address | IPv6Address, *, plain: bool) -> None:
        found = reach(address)
        if found is Reach.PRIVATE and self._allow_private:
            return
        if found is Reach.PUBLIC and not plain:
            return
        if found is Reach.PUBLIC:
            raise ForbiddenAddressError("plain http is for private addresses only")
        raise ForbiddenAddressError("the address is not public")


def _parse(text: str) -> IPv4Address | IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise ForbiddenAddressError("not an IP address in its usual form") from error
