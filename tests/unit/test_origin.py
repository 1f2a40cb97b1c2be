"""A write with a cookie comes from our own pages, or is refused."""

from __future__ import annotations

import pytest

from lbs.errors import ForbiddenError
from lbs.origin import check_origin, check_origin_if_any


@pytest.mark.parametrize(
    ("origin", "host", "public_url"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", None),
        ("https://offers.example", "offers.example", None),
        ("http://[::1]:8000", "[::1]:8000", None),
        ("https://offers.example", "10.0.0.1:8000", "https://offers.example"),
        ("https://offers.example:443", "10.0.0.1", "https://offers.example/lbs/"),
        ("https://OFFERS.example", "x", "https://offers.example"),
    ],
)
def test_our_own_pages_may(origin: str, host: str, public_url: str | None) -> None:
    check_origin({"origin": origin, "host": host}, public_url=public_url)
    check_origin_if_any({"origin": origin, "host": host}, public_url=public_url)


@pytest.mark.parametrize(
    ("origin", "host", "public_url"),
    [
        ("null", "127.0.0.1:8000", None),
        ("", "127.0.0.1:8000", None),
        ("http://127.0.0.1:8001", "127.0.0.1:8000", None),
        ("http://offers.example.evil.example", "offers.example", None),
        ("http://offers.example@evil.example", "offers.example", None),
        ("file://offers.example", "offers.example", None),
        ("http://offers.example:99999", "offers.example", None),
        ("http://10.0.0.1", "10.0.0.1", "https://offers.example"),
        ("http://offers.example", "offers.example", "https://offers.example"),
        ("https://offers.example:8443", "offers.example:8443", "https://offers.example"),
    ],
)
def test_pages_of_others_may_not(origin: str, host: str, public_url: str | None) -> None:
    headers = {"origin": origin, "host": host, "sec-fetch-site": "same-origin"}
    for check in (check_origin, check_origin_if_any):
        with pytest.raises(ForbiddenError):
            check(headers, public_url=public_url)


def test_without_an_origin_a_browser_must_vouch() -> None:
    check_origin({"sec-fetch-site": "same-origin"}, public_url=None)
    for said in ("same-site", "cross-site", "none", None):
        with pytest.raises(ForbiddenError):
            check_origin({} if said is None else {"sec-fetch-site": said}, public_url=None)
    check_origin_if_any({}, public_url=None)
