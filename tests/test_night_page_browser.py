"""The page of a night in a real browser: on a phone and on a desk, in light and dark, with everything unfolded.

Skipped where no Chromium is on the machine.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import pytest

from certjobs.cli.night_page import page
from tests import nights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from certjobs.domain.night import Night

PACKAGES = ("playwright", "axe_playwright_python")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LONG = "HLF-" + "0123456789" * 40
NIGHTS = {
    "full": (nights.full_night(), "nb"),
    "quiet": (nights.quiet_night(), "en"),
    "nothing": (replace(nights.nothing(), dry_run=True, exit_code=69, status="failed"), "nn"),
    "long": (nights.everywhere(nights.full_night(), LONG), "en"),
    "hostile": (
        nights.everywhere(nights.full_night(), '<script>alert(1)</script>"><img src=x onerror=alert(1)>'),
        "nb",
    ),
}
Scheme = Literal["light", "dark"]
ACROSS = "document.documentElement.scrollWidth"
UNFOLD = "document.querySelectorAll('details').forEach(each => each.open = true)"
UNREACHABLE = """() => [...document.querySelectorAll('.region')]
    .filter(each => each.scrollWidth > each.clientWidth && each.tabIndex !== 0).length"""

PAPER = 700  # pixels across a sheet, between its margins

every_night = pytest.mark.parametrize("name", NIGHTS)
every_screen = pytest.mark.parametrize("width", [390, 1280])
every_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


# Not for the session: while it is open, no other test could run an event loop of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser that is on the machine; none is ever downloaded."""
    lacking = [each for each in PACKAGES if find_spec(each) is None]
    program = next((found for each in BROWSERS if (found := shutil.which(each))), None)
    if lacking or program is None:
        pytest.skip(f"not on this machine: {', '.join(lacking) or 'Chromium'}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def axe() -> str:
    """Return the checker of accessibility, as it runs in a page."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def violations(shown: Page, axe: str) -> list[tuple[str, str, list[Any]]]:
    """Return what the checker finds serious or critical: the rule, how grave it is, and where."""
    shown.evaluate(axe)
    found = shown.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [
        (each["id"], each["impact"], [node["html"] for node in each["nodes"]])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


def written(folder: Path, night: Night, language: str) -> str:
    """Write a page to a file and return its address."""
    file = folder / "night.html"
    file.write_text(page(night, language=language), encoding="utf-8")
    return file.as_uri()


@every_night
@every_screen
@every_scheme
def test_the_page_fits_and_stays_to_itself(
    browser: Browser, tmp_path: Path, name: str, width: int, scheme: Scheme
) -> None:
    """The page is no wider than the screen, also on paper, reports no error, and asks nobody for anything."""
    address = written(tmp_path, *NIGHTS[name])
    with browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme) as context:
        shown = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        shown.on("console", lambda message: said.append(message.text))
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.on("dialog", lambda dialog: said.append(dialog.message))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(address)
        assert shown.evaluate(ACROSS) <= width
        shown.evaluate(UNFOLD)
        assert shown.evaluate(ACROSS) <= width
        assert shown.evaluate(UNREACHABLE) == 0
        shown.emulate_media(media="print")
        shown.set_viewport_size({"width": PAPER, "height": 1000})
        assert shown.evaluate(ACROSS) <= PAPER
        assert said == []
        assert asked == [address]


@pytest.mark.parametrize("name", ["full", "quiet", "nothing"])
@every_screen
@every_scheme
def test_the_page_is_for_everybody(
    browser: Browser, axe: str, tmp_path: Path, name: str, width: int, scheme: Scheme
) -> None:
    """A checker of accessibility finds nothing serious: not in contrast, tables, names, landmarks or the keyboard."""
    # The page forbids scripts, and the checker is one.
    with browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True) as context:
        shown = context.new_page()
        shown.goto(written(tmp_path, *NIGHTS[name]))
        shown.evaluate(UNFOLD)
        assert violations(shown, axe) == []


def test_the_checker_would_find_something(browser: Browser, axe: str) -> None:
    """Grey on grey is found: the checker does run."""
    with browser.new_context() as context:
        shown = context.new_page()
        shown.set_content("<html lang=en><title>x</title><main style='background:#fff;color:#ccc'>hardly there</main>")
        assert [rule for rule, _, _ in violations(shown, axe)] == ["color-contrast"]


def test_no_script_runs_in_the_page(browser: Browser, tmp_path: Path) -> None:
    """Even a script that had got into the page would not run, and the browser would say so."""
    file = tmp_path / "night.html"
    html = page(nights.quiet_night(), language="en")
    file.write_text(html.replace("</main>", "<script>document.title = 'changed'</script></main>"), encoding="utf-8")
    with browser.new_context() as context:
        shown = context.new_page()
        said: list[str] = []
        shown.on("console", lambda message: said.append(message.text))
        shown.goto(file.as_uri())
        assert shown.title().startswith("All is well")
        assert len(said) == 1
        assert "Content Security Policy" in said[0]
