"""The pages of the browser as files: compressed, cached by name, under one policy; every path of theirs is a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lbs.pages import BUILT

if TYPE_CHECKING:
    from tests.support.api import Api

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not BUILT.exists(), reason="the pages are not built: run scripts/build-pages"),
]


@pytest.mark.parametrize("path", ["/console/", "/console/campaigns/7", "/app/", "/app/inbox"])
def test_every_path_is_a_page_that_may_load_only_what_is_ours(api: Api, path: str) -> None:
    answer = api.client().get(path, headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert "connect-src 'self';" in answer.headers["content-security-policy"]
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)


@pytest.mark.parametrize(
    ("asked", "given"), [("br, gzip", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("", None)]
)
def test_scripts_come_as_they_were_compressed_and_are_kept_for_ever(api: Api, asked: str, given: str | None) -> None:
    page = api.client().get("/console/", headers={"Accept-Encoding": "identity"}).text
    script = re.findall(r'src="(/console/assets/[^"]+\.js)"', page)[0]
    answer = api.client().get(script, headers={"Accept-Encoding": asked})
    assert answer.status_code == 200
    assert answer.headers.get("content-encoding") == given
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path", ["/console/assets/none.js", "/app/none.png", "/console/../pages.py", "/console/%2e%2e/x.py"]
)
def test_a_file_that_is_not_there_is_no_page(api: Api, path: str) -> None:
    answer = api.client().get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_root_leads_to_the_console(api: Api) -> None:
    answer = api.client().get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/console/")
    assert api.client().post("/console/").status_code == 405
