"""The browser that other tests look through: it draws, it measures, and no fault goes unseen."""

from __future__ import annotations

import asyncio
import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest

from geofences.model import LatLng
from tests.support.browser import AXE, DESKTOP, PHONE, check_accessible, measure, screenshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.browser import Chromium, OpenPage

pytestmark = pytest.mark.xdist_group("browser")

SCRIPT = b"document.title = 'ran'; const padding = '" + b"x" * 5_000 + b"'"
PAGES = {
    "/": (
        "text/html",
        b"""<!doctype html><html lang=en><meta name=viewport content='width=device-width'>
        <title>Shop</title><link rel=icon href=data:,><main><h1>Coffee</h1><p>20 % off</p></main>
        <script src=/script.js></script>""",
    ),
    "/script.js": ("text/javascript", SCRIPT),
    "/unlabelled": ("text/html", b"<!doctype html><html lang=en><title>Form</title><link rel=icon href=data:,><input>"),
    "/worker.js": ("text/javascript", b"fetch('http://192.0.2.1/from-a-worker').catch(() => {})"),
}
DRAW = """() => {
  const gl = document.createElement('canvas').getContext('webgl2')
  const make = (type, source) => {
    const shader = gl.createShader(type)
    gl.shaderSource(shader, source)
    gl.compileShader(shader)
    return shader
  }
  const program = gl.createProgram()
  gl.attachShader(program, make(gl.VERTEX_SHADER, `#version 300 es
    void main() { gl_Position = vec4(0, 0, 0, 1); gl_PointSize = 8.0; }`))
  gl.attachShader(program, make(gl.FRAGMENT_SHADER, `#version 300 es
    precision mediump float; out vec4 colour; void main() { colour = vec4(1, 0.2, 0, 1); }`))
  gl.linkProgram(program)
  gl.useProgram(program)
  gl.drawArrays(gl.POINTS, 0, 1)
  const pixel = new Uint8Array(4)
  gl.readPixels(gl.drawingBufferWidth / 2, gl.drawingBufferHeight / 2, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel)
  return [...pixel]
}"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, body = PAGES.get(self.path, ("text/plain", b""))
        self.send_response(200 if self.path in PAGES else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def faults(chromium: Chromium, site: str, script: str, *expected: str) -> str:
    """What the end of a page says in which a script ran."""
    try:
        with chromium.page(expected=expected) as page:
            page.goto(site)
            page.evaluate(script)
    except AssertionError as error:
        return str(error)
    return ""


def test_a_page_is_shown(page: Page, site: str) -> None:
    page.goto(site)
    assert page.title() == "ran"
    assert page.get_by_role("heading", name="Coffee").is_visible()


def test_webgl_draws(page: Page, site: str) -> None:
    page.goto(site)
    assert page.evaluate(DRAW) == [255, 51, 0, 255]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("console.error('broken')", "console: broken"),
        ("new Promise(done => setTimeout(() => { done(); throw new Error('late') }))", "thrown: late"),
        ("void Promise.reject(new Error('nobody catches'))", "nobody catches"),
        ("fetch('/missing')", "status of 404"),
        ("fetch('http://192.0.2.1/elsewhere').catch(() => {})", "leaves this machine: http://192.0.2.1/elsewhere"),
        ("fetch('https://example.org/').catch(() => {})", "leaves this machine: https://example.org/"),
        ("void new WebSocket('ws://192.0.2.1/socket')", "leaves this machine: ws://192.0.2.1/socket"),
        (
            "navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready)",
            "leaves this machine: http://192.0.2.1/from-a-worker",
        ),
    ],
)
def test_what_goes_wrong_fails_the_test(chromium: Chromium, site: str, script: str, fault: str) -> None:
    assert fault in faults(chromium, site, script)


def test_an_expected_error_is_none_and_hides_no_other(chromium: Chromium, site: str) -> None:
    with chromium.page(expected=("status of 404",)) as page:
        page.goto(site)
        page.evaluate("fetch('/missing')")
    told = faults(chromium, site, "fetch('/missing').then(() => console.error('another'))", "status of 404")
    assert "another" in told
    assert "404" not in told


def test_a_page_is_of_the_size_the_colours_the_language_and_the_place_it_was_given(
    open_page: OpenPage, site: str
) -> None:
    page = open_page(PHONE, dark=True, locale="fi-FI", at=LatLng(lat=60.17, lng=24.94))
    page.goto(site)
    told = page.evaluate("""async () => [
      innerWidth, devicePixelRatio, matchMedia('(pointer: coarse)').matches,
      matchMedia('(prefers-color-scheme: dark)').matches, navigator.language,
      Intl.DateTimeFormat().resolvedOptions().timeZone,
      await new Promise((done, failed) =>
        navigator.geolocation.getCurrentPosition(({coords}) => done([coords.latitude, coords.longitude]), failed)),
    ]""")
    assert told == [390, 3, True, True, "fi-FI", "Europe/Helsinki", [60.17, 24.94]]


def test_pages_share_no_storage(open_page: OpenPage, site: str) -> None:
    first, second = open_page(DESKTOP), open_page(DESKTOP)
    for page in (first, second):
        page.goto(site)
    first.evaluate("localStorage.setItem('key', 'value'); document.cookie = 'a=b'")
    assert second.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_what_a_page_costs_is_measured(open_page: OpenPage, site: str) -> None:
    cost = measure(open_page(PHONE), site, shown=lambda page: page.get_by_text("20 % off").wait_for())
    assert 0 < cost.lcp_ms < 60_000
    assert len(SCRIPT) < cost.script_bytes < len(SCRIPT) + 1_000


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here: npm ci in lbs/console")
def test_a_page_is_accessible_or_said_not_to_be(page: Page, site: str) -> None:
    page.goto(site)
    check_accessible(page)
    page.goto(f"{site}/unlabelled")
    with pytest.raises(AssertionError, match="critical: label"):
        check_accessible(page)


def test_pictures_are_kept_where_they_are_wanted(
    page: Page, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.goto(site)
    monkeypatch.delenv("LBS_TEST_SCREENSHOTS", raising=False)
    screenshot(page, "shop")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("LBS_TEST_SCREENSHOTS", str(tmp_path))
    screenshot(page, "shop")
    assert (tmp_path / "shop.png").read_bytes().startswith(b"\x89PNG")


def test_loops_of_other_tests_run_beside_the_browser(chromium: Chromium, site: str) -> None:
    async def work() -> int:
        return await asyncio.sleep(0, 1)

    assert asyncio.run(work()) == 1
    with chromium.page() as page:
        page.goto(site)
        assert page.title() == "ran"
    assert asyncio.run(work()) == 1
