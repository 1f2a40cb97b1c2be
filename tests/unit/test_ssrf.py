"""Outsiders' URLs lead to the public internet, or nowhere."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offers.errors import ForbiddenAddressError
from offers.push import Refused, Retry, Unknown
from offers.push_http import HttpTransport
from offers.ssrf import AddressGuard, Reach, reach

if TYPE_CHECKING:
    from collections.abc import Iterator

STRICT = AddressGuard(allow_private=False)
LENIENT = AddressGuard(allow_private=True)

PRIVATE = ["127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"]
PRIVATE += ["::1", "fd12:3456::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"]
NEVER = ["0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1"]  # noqa: S104
NEVER += ["192.0.0.8", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.88.99.1", "100.100.100.200"]
NEVER += [
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "5f00::1",
]
NEVER += ["::127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "2002:808:808::1", "2001:0:1::1", "fd00:ec2::254"]
NEVER += ["64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1"]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(a, Reach.PRIVATE) for a in PRIVATE] + [(a, Reach.NEVER) for a in NEVER] + [(a, Reach.PUBLIC) for a in PUBLIC],
)
def test_every_address_has_one_reach(text: str, expected: Reach) -> None:
    assert reach(ip_address(text)) is expected


@given(st.integers(0, 2**32 - 1))
def test_no_ipv4_address_is_safer_in_an_ipv6_coat(number: int) -> None:
    bare = reach(ip_address(number))
    mapped = reach(ip_address((0xFFFF << 32) | number))
    nat64 = reach(ip_network("64:ff9b::/96")[number])
    assert mapped is bare
    assert (nat64 is Reach.PUBLIC) == (bare is Reach.PUBLIC)
    assert reach(ip_network("2002::/16")[number << 80]) is Reach.NEVER


def host_of(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", [a for a in PRIVATE + NEVER if "%" not in a])
def test_literals_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        STRICT.check_url(f"https://{host_of(address)}/hook")


@pytest.mark.parametrize("address", [a for a in NEVER if "%" not in a])
def test_the_setting_opens_no_metadata_service_nor_anything_but_private_ranges(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        LENIENT.check_url(f"https://{host_of(address)}/hook")


@pytest.mark.parametrize("address", PRIVATE)
def test_the_setting_opens_private_ranges_also_without_tls(address: str) -> None:
    LENIENT.check_url(f"https://{host_of(address)}/hook")
    LENIENT.check_url(f"http://{host_of(address)}:8080/hook")


ODD_FORMS = ["2130706433", "0x7f000001", "0x7f.1", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "0"]
ODD_FORMS += [
    "127.0.0.1.",
    "127.000.000.001",
    "0X7F.1",
    "1.2.3.0x",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "127.0.0.1%2e",
    "134744072",
]


@pytest.mark.parametrize("host", ODD_FORMS)
def test_addresses_in_odd_forms_are_refused(host: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        STRICT.check_url(f"https://{host}/")


# The other two are 127.0.0.1 in its usual form once normalised.
@pytest.mark.parametrize("host", [host for host in ODD_FORMS if host not in {"127.0.0.1.", "127。0。0。1"}])
def test_the_setting_opens_no_odd_forms(host: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        LENIENT.check_url(f"https://{host}/")


BAD_URLS = [
    "http://partner.example/hook",
    "ftp://partner.example/",
    "file:///etc/passwd",
    "gopher://partner.example/",
    "javascript:alert(1)",
    "//partner.example/",
    "partner.example",
    "https:partner.example/",
    "https:///hook",
    "https://",
    "",
    "https://user@partner.example/",
    "https://user:password@partner.example/",
    "https://@partner.example/",
    "https://:@partner.example/",
    "https://partner.example\\@127.0.0.1/",
    "https://partner.example:99999/",
    "https://partner.example:0/",
    "https://partner.example:abc/",
    "https://part ner.example/",
    "https://partner.example\r\nHost: evil/",
    "https://partner%2eexample/",
    "https://a..b/",
    "https://.example/",
    "https://[::1/",
    "https://[127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[v1.x]/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://db.localhost/",
    "https://partner.example/" + "x" * 3000,
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_urls_that_cannot_be_called_safely_are_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddressError) as refusal:
        STRICT.check_url(url)
    assert "example" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example/hook?key=1",
        "https://PARTNER.example.:8443/",
        "https://bücher.example/",
        "https://my_host.example/a@b",
        "https://partner.example?to=a@b",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://localhost.example/",
    ],
)
def test_ordinary_urls_pass(url: str) -> None:
    STRICT.check_url(url)


@pytest.mark.parametrize("address", PRIVATE + NEVER)
def test_an_address_is_judged_when_a_socket_is_made_for_it(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        STRICT.check_address(address, plain=False)


def test_plain_http_never_leaves_private_ranges() -> None:
    with pytest.raises(ForbiddenAddressError):
        LENIENT.check_address("8.8.8.8", plain=True)
    LENIENT.check_address("10.0.0.1", plain=True)
    with pytest.raises(ForbiddenAddressError):
        LENIENT.check_url("http://8.8.8.8/")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody on this machine whom nobody outside may make us call."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        yield listening


def was_called(listener: socket.socket) -> bool:
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        return False
    connection.close()
    return True


def posting(listener: socket.socket, guard: AddressGuard, *addresses: str) -> object:
    """What comes of a POST to a name that has these addresses."""
    port = listener.getsockname()[1]
    resolve = {f"partner.example:{port}": addresses}
    transport = HttpTransport(guard=guard, resolve=resolve, connect_timeout_s=0.5, total_timeout_s=0.5)
    outcome = transport.post(f"https://partner.example:{port}/hook", headers={}, body=b"{}")
    transport.close()
    return outcome


def test_a_name_that_leads_to_this_machine_is_not_called(listener: socket.socket) -> None:
    outcome = posting(listener, STRICT, "127.0.0.1")
    assert outcome == Refused(reason="forbidden_address", detail="the address is not public")
    assert not was_called(listener)
    assert isinstance(posting(listener, LENIENT, "127.0.0.1"), Unknown | Retry)
    assert was_called(listener)


def test_a_forbidden_address_among_good_ones_is_not_called(listener: socket.socket) -> None:
    # 192.0.2.0/24 is for documentation: it is never called either, whatever the network here does
    for addresses in (("192.0.2.1", "127.0.0.1"), ("127.0.0.1", "192.0.2.1")):
        assert posting(listener, STRICT, *addresses) == Refused(
            reason="forbidden_address", detail="the address is not public"
        )
        assert not was_called(listener)


def test_a_name_without_an_address_is_a_retry() -> None:
    transport = HttpTransport(guard=STRICT, connect_timeout_s=2.0, total_timeout_s=2.0)
    outcome = transport.post("https://partner.invalid/", headers={}, body=b"")
    transport.close()
    assert isinstance(outcome, Retry)
    assert not outcome.may_have_arrived
