"""A real Chromium for tests of pages: fixtures `open_page`, and `page` for a plain desktop.

A page fails its test if its console tells an error, if a script throws, if it crashes, or if it asks for anything
outside this machine. One browser serves all tests of a worker; each page has a context of its own: no cookie and no
storage is shared.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.data import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError, Worker

    from geofences.model import LatLng

    OpenPage = Callable[..., Page]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # what a page asks for elsewhere is found by its request; this keeps it, and the browser's own, from getting out
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
HERE: Final = frozenset({"127.0.0.1", "localhost"})
PATIENCE_MS: Final = 120_000
AXE: Final = PROJECT / "lbs" / "console" / "node_modules" / "axe-core" / "axe.min.js"
BAD: Final = frozenset({"serious", "critical"})
SLOWER: Final = 4
"""Times: a cheap phone's processor beside this one."""
SETTLED: Final = """() => document.querySelector('h1')
  && !document.querySelector('.mantine-Loader-root, .mantine-Skeleton-root, [data-map-ready=false]')"""
NEXT_TASK: Final = "() => new Promise(done => setTimeout(done))"
"""A promise that nobody catches is told at the end of the task in which it failed."""
LCP: Final = """() => new Promise((resolve, reject) => {
  let lastMs = null
  const look = entries => { for (const entry of entries) lastMs = entry.startTime }
  const observer = new PerformanceObserver(list => look(list.getEntries()))
  observer.observe({ type: 'largest-contentful-paint', buffered: true })
  setTimeout(() => {
    look(observer.takeRecords())
    lastMs === null ? reject(new Error('nothing was painted')) : resolve(lastMs)
  }, 500)
})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    width: int
    height: int
    scale: float
    touch: bool


PHONE: Final = Screen(width=390, height=844, scale=3, touch=True)
DESKTOP: Final = Screen(width=1280, height=800, scale=1, touch=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What a page costs whoever opens it for the first time."""

    lcp_ms: float
    """Until the largest thing in sight was painted."""
    script_bytes: int
    """Of its scripts, as transferred: compressed, with headers."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """The browser of a worker."""

    browser: Browser
    loop: asyncio.AbstractEventLoop

    @contextmanager
    def page(
        self,
        screen: Screen = DESKTOP,
        *,
        dark: bool = False,
        locale: str = "en-GB",
        timezone: str = "Europe/Helsinki",
        at: LatLng | None = None,
        permissions: tuple[str, ...] = (),
        expected: tuple[str, ...] = (),
    ) -> Iterator[Page]:
        """A page in a context of its own; AssertionError at its end if anything went wrong in it.

        `at` is where the device is, and permits the page to know; `expected` are patterns of console errors that the
        test brings about, such as `status of 401`.
        """
        with _marked_running(self.loop):
            context = self.browser.new_context(
                viewport={"width": screen.width, "height": screen.height},
                device_scale_factor=screen.scale,
                is_mobile=screen.touch,
                has_touch=screen.touch,
                color_scheme="dark" if dark else "light",
                locale=locale,
                timezone_id=timezone,
                geolocation=None if at is None else {"latitude": at.lat, "longitude": at.lng},
                permissions=[*permissions, *(["geolocation"] if at else [])],
                reduced_motion="reduce",
            )
            context.set_default_timeout(PATIENCE_MS)
            expect.set_options(timeout=PATIENCE_MS)
            faults = _Faults(expected)
            faults.watch(context)
            try:
                yield context.new_page()
                for page in context.pages:
                    page.evaluate(NEXT_TASK)
            finally:
                context.close()
        if faults.found:
            raise AssertionError("\n".join(faults.found))


@dataclass
class _Faults:
    expected: tuple[str, ...]
    found: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", self._thrown)
        context.on("request", self._request)
        context.on("page", self._page)
        context.on("serviceworker", self._worker)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(re.search(one, message.text) for one in self.expected):
            self.found.append(f"console: {message.text} ({message.location['url']})")

    def _thrown(self, error: WebError) -> None:
        self.found.append(f"thrown: {error.error}")

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in HERE:
            self.found.append(f"leaves this machine: {url}")

    def _page(self, page: Page) -> None:
        page.on("crash", lambda _: self.found.append("the page crashed"))
        page.on("websocket", lambda socket: self._address(socket.url))

    def _worker(self, worker: Worker) -> None:
        worker.on("console", self._console)


@contextmanager
def _marked_running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Between two calls Playwright's loop is called this thread's running one, though it stands still; other tests of
    the thread, which run loops of their own, must not see that.
    """
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(before)


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is here: install it (apt-get install chromium, or brew install --cask chromium)")
    playwright = sync_playwright().start()
    loop = asyncio.get_running_loop()
    try:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE_MS)
        with _marked_running(None):
            yield Chromium(browser, loop)
        browser.close()
    finally:
        playwright.stop()


@pytest.fixture
def open_page(chromium: Chromium) -> Iterator[OpenPage]:
    """Opens as many pages as a test needs: `open_page(PHONE, dark=True)`, as `Chromium.page` says."""
    with ExitStack() as stack:
        yield lambda *how, **more: stack.enter_context(chromium.page(*how, **more))


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page()


def screenshot(page: Page, name: str, *, whole: bool = False) -> None:
    """Keeps a picture in the folder LBS_TEST_SCREENSHOTS, if there is one; `whole` of all that can be scrolled to."""
    if folder := os.environ.get("LBS_TEST_SCREENSHOTS"):
        if whole and page.viewport_size is not None:
            height = page.evaluate("() => document.documentElement.scrollHeight")
            page.set_viewport_size({**page.viewport_size, "height": height})
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


def check_accessible(page: Page) -> None:
    """No rule of axe-core is broken seriously in what the page shows now."""
    assert AXE.exists(), "axe-core is not here: npm ci in lbs/console"
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    broken = [
        f"{one['impact']}: {one['id']}, {one['help']}: {[node['target'] for node in one['nodes']]}"
        for one in found["violations"]
        if one["impact"] in BAD
    ]
    if broken:
        raise AssertionError("\n".join(broken))


def wait_settled(page: Page) -> None:
    """Until a page shows what it asked for: nothing loads any more."""
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(300)  # charts and maps draw in the frames after
    page.wait_for_function(SETTLED)


def measure(page: Page, url: str, *, shown: Callable[[Page], object] = lambda _: None) -> Loading:
    """Loads `url` as a cheap phone would; `page` is fresh from `open_page(PHONE)`, `shown` waits for what matters."""
    cdp = page.context.new_cdp_session(page)
    scripts: set[str] = set()
    transferred: dict[str, int] = {}
    cdp.on(
        "Network.responseReceived", lambda told: scripts.add(told["requestId"]) if told["type"] == "Script" else None
    )
    cdp.on("Network.loadingFinished", lambda told: transferred.update({told["requestId"]: told["encodedDataLength"]}))
    cdp.send("Network.enable")
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(url)
    shown(page)
    lcp_ms = page.evaluate(LCP)
    cdp.detach()
    return Loading(lcp_ms=lcp_ms, script_bytes=sum(transferred.get(one, 0) for one in scripts))
