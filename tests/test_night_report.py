"""The page of a night: what it says, that it stays one page on its own, and that nothing in it can become markup."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certjobs import __version__
from certjobs.cli import night_charts
from certjobs.cli.night_page import LANGUAGES, page
from certjobs.cli.night_wording import ENGLISH, NIGHT_WORDINGS
from certjobs.db.tables import metadata
from certjobs.domain import coverage
from certjobs.domain.coverage import Equation
from certjobs.domain.night import (
    ComingNight,
    Exposed,
    Finding,
    Missed,
    Night,
    PastRun,
    PausedMentor,
    Queue,
    Step,
    Volume,
)
from certjobs.domain.text import printable
from certjobs.errors import ExitCode, UsageError
from tests import nights
from tests.pages import Page

DAY = timedelta(days=1)
OSLO = ZoneInfo("Europe/Oslo")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></svg><iframe src=https://evil.example>",
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}<!-- ",
    "&lt;b&gt;&amp;",
    "\x1b[2J\u202egnp.exe\x00<b>",
    "`<i>`` <b> `",
    "]]><![CDATA[<a href=javascript:alert(1)>",
)
ELEMENTS = """
    html head meta title style body div header main section footer h1 h2 h3 p ul ol li dl dt dd a strong b span bdi code
    time table caption thead tbody tr th td details summary svg symbol pattern use g rect circle path text desc
"""
ATTRIBUTES = """
    lang charset http-equiv content name class id href aria-label aria-labelledby aria-hidden focusable role tabindex
    scope datetime viewbox width height x y cx cy r rx d fill fill-rule stroke stroke-width stroke-linecap
    stroke-linejoin stroke-dasharray patternunits patterntransform text-anchor
"""


def read(night: Night, language: str = "en") -> Page:
    return Page(page(night, language=language))


def is_whole(found: Page) -> None:
    """Check what holds of every page: it nests, stands on its own, and names only what is there."""
    assert not found.faults
    assert found.tags <= set(ELEMENTS.split())
    assert {name for _, attributes in found.elements for name in attributes} <= set(ATTRIBUTES.split())
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    assert set(found.values("href")) <= {f"#{each}" for each in ids}
    assert {each for value in found.values("aria-labelledby") for each in value.split()} <= set(ids)
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("night", [nights.full_night(), nights.quiet_night(), nights.nothing()])
def test_the_page_stands_on_its_own(night: Night, language: str) -> None:
    """In every language the page is whole, forbids everything from elsewhere, and says in what language it is."""
    html = page(night, language=language)
    found = Page(html)
    is_whole(found)
    assert html.startswith(f'<!DOCTYPE html>\n<html lang="{language}">\n')
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in found.elements
    assert ("meta", {"name": "robots", "content": "noindex"}) in found.elements
    assert "://" not in html
    assert not re.search(r"@import|url\((?!#)", html)
    assert "color-scheme: light dark" in html
    assert "@media print" in html


def test_an_unknown_language_is_refused() -> None:
    """A language without words is an error that names those there are."""
    with pytest.raises(UsageError, match=r"'sv'; there is nb, nn, en\."):
        page(nights.nothing(), language="sv")


def test_all_that_a_night_tells_stands_on_the_page() -> None:
    """A full night is told part by part, in the order in which it is asked for."""
    found = read(nights.full_night())
    said = (
        "certjobs · Nightly report · night of Friday 27 November 2026",
        "The night is not finished: work is still open. The worst outcome was that of remind.",
        "The next run sends it; see certjobs notifications list --status failed.",
        "Exit code 3 (partly done) Time 4 min 27 s Started 27 Nov 2026 02:15",
        "Worth a look 1 sum does not add up 3 runs were missed or failed 2 mentors are still listed",
        "The guard will ask about 31 mentors, first on 15 Dec 2026",
        "The jobs expiry-check succeeded Exit code 0 Time 1.8 s expired mentors 5 = 4 paused + 1 open ✓ adds up",
        "mentors 1,204",
        "notices owed 12 = 11 sent + 1 open ✓ adds up",
        "operations taken 9 = 6 done + 2 dead 1 is not accounted for",
        "reconcile skipped Exit code 75",
        "Paused tonight 4",
        "HLF-0041 Kari Eksempel HLF Multedalen 26 Nov 2026 2",
        "and 1 more",
        "Nights missed 2 Night of Friday 20 November 2026 expiry-check: 2 paused later than promised",
        "HLF-0007 HLF-0113",
        "remind: 6 reminders later than promised HLF-0311 30 days ahead HLF-0099 7 days ahead and 4 more",
        "Night of Sunday 15 November 2026 sync: there was nothing to do, nobody is affected",
        "Expired, still listed 2",
        "HLF-0007 HLF 24 Nov 2026 22:55 51 h 20 min",
        "HLF-0113 HLF 26 Nov 2026 22:55 3 h 20 min",
        "stuck A change for the website, or a notice, was given up or lies still. Somebody must look at it.",
        "HLF-0007: remove is dead after 8 attempts",
        "unknown On the website with a key that no mentor has.",
        "HLF paused 4 4 0 as expected",
        "HLF reminders 41 9 \N{MINUS SIGN}32 far from expected",
        "Waiting 14 Oldest has waited 3 h 10 min Being sent 2 Done in the last hour 1,204 Given up 2",
        "Expected from 28 Nov 2026 to 27 Dec 2026, as long as nothing changes.",
        "Guard asks: pauses that wait for approval.",
        "15 Dec 2026 2 0 1 0 31",
        "How it went, night by night, up to 27 Nov 2026.",
        "remind, 7 Nov 2026: died on the way",
        "20 Nov 2026 no run no run no run no run no run",
        f"Run {nights.RUN} Started 27 Nov 2026 01:15 UTC = 27 Nov 2026 02:15 Europe/Oslo Version",
        f"certjobs {__version__}",
    )
    place = 0
    for each in said:
        assert each in found.text[place:], f"{each!r} does not follow {found.text[max(0, place - 200) : place]!r}"
        place = found.text.index(each, place)


def test_an_equation_reads_as_it_does_elsewhere() -> None:
    """In English an equation on the page is word for word the one that the terminal shows."""
    night = nights.full_night()
    text = read(night).text
    assert all(str(equation) in text for step in night.steps for equation in step.equations)


def test_a_sum_that_accounts_for_too_many_is_told() -> None:
    """Parts that come to more than there was to do are as wrong as those that come to less."""
    night = nights.quiet_night()
    step = replace(night.steps[0], equations=[Equation("expired mentors", 1, [("paused", 3)])])
    text = read(replace(night, steps=[step])).text
    assert "expired mentors 1 = 3 paused 2 more than there was to do" in text
    assert "The night went well, but something needs a look." in text


def test_a_good_night_says_so_and_little_else() -> None:
    """Where nothing is to be told, each part is one plain sentence, and nothing is to be done."""
    found = read(nights.quiet_night())
    for said in (
        "All is well. Nobody has to do anything.",
        "Nobody was paused tonight.",
        "No night was missed.",
        "As far as is known, nobody is listed on the website with an expired certification.",
        "No findings are open: the website and the database agree.",
        "The queue is empty.",
        "From 28 Nov 2026 to 27 Dec 2026 there is nobody to remind of and nobody to pause.",
    ):
        assert said in found.text
    assert "Worth a look" not in found.text
    assert "Expected and actual" not in found.text


def test_a_night_without_anything_has_no_empty_table() -> None:
    """A night of which nothing is known is a page of sentences."""
    found = read(nights.nothing())
    assert not {"table", "details", "ol"} & found.tags
    assert "No job was started." in found.text
    assert "No earlier runs are known." in found.text


def test_a_dry_run_says_first_that_nothing_happened() -> None:
    """A dry-run is called one before anything else, and tells of what would have been."""
    text = read(nights.full_night(dry_run=True)).text
    assert text.index("Dry-run: nothing was written and nobody was told.") < text.index("The night is not finished")
    assert "Would be paused 4" in text
    assert "Paused tonight" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_exit_code_has_a_verdict_and_something_to_do(language: str) -> None:
    """Whatever its exit code, a night says in words what happened and what to do; a hint of the run goes first."""
    words = NIGHT_WORDINGS[language]
    assert set(words.exits) == set(ExitCode)
    for code in (*ExitCode, 42):
        night = replace(nights.nothing(), exit_code=int(code), status="failed")
        sentence, to_do = words.exits.get(code, words.exit_unknown)
        text = read(night, language).text
        assert f"{sentence.format(n=int(code))}. {to_do.replace('`', '')}" in text
        hinted = read(replace(night, hint="Ask the office."), language).text
        assert "Ask the office." in hinted
        assert to_do.replace("`", "") not in hinted


def test_every_language_says_the_same() -> None:
    """No language lacks a word, a status, a class of findings or part of an equation, and all take the same values."""

    def places(value: object) -> Any:
        if isinstance(value, str):
            return set(re.findall(r"{\w+}", value))
        if isinstance(value, tuple):
            return [places(each) for each in value]
        if isinstance(value, Mapping):
            return {key: places(each) for key, each in value.items()}
        return None

    patterns = {"locale", "long_day", "short_day", "tick_day", "equations"}
    names = [each.name for each in fields(ENGLISH) if each.name not in patterns]
    of_equations = {
        word
        for equations in coverage._EQUATIONS.values()
        for what, _, parts in equations
        for word in (what, *parts.values())
    }
    constraint = next(
        str(each.sqltext)  # type: ignore[attr-defined]
        for each in metadata.tables["reconciliation_log"].constraints
        if each.name == "ck_reconciliation_log_finding"
    )
    for words in NIGHT_WORDINGS.values():
        # The one form of a plural may do without its number.
        for name in names:
            said, english = places(getattr(words, name)), places(getattr(ENGLISH, name))
            assert said == english, (words.locale, name)
        assert words is ENGLISH or set(words.equations) == of_equations
        assert set(words.finding_meanings) == set(re.findall(r"'(\w+)'", constraint))


def test_norwegian_has_its_own_numbers_days_and_words() -> None:
    """The page in bokmål and nynorsk is Norwegian down to its numbers; the program's words are marked as English."""
    for language, said in (
        ("nb", ("natt til fredag 27. november 2026", "Noe arbeid gjenstår.", "4 min 12 s", "1,8 s", "Lokallag")),
        ("nn", ("natt til fredag 27. november 2026", "Noko arbeid står att.", "51 t 20 min", "1,8 s", "Namn")),
    ):
        html = page(nights.full_night(), language=language)
        found = Page(html)
        assert all(each in found.text for each in said)
        assert "1\N{NO-BREAK SPACE}204" in html
        assert '<p lang="en"><bdi>1 notice was not sent' in html


def test_no_name_is_told_unless_given() -> None:
    """Without names the page names nobody and has no column for names."""
    with_names, without = read(nights.full_night()), read(nights.full_night(names=False))
    assert "Kari Eksempel" in with_names.text
    assert "Eksempel" not in without.text
    assert "Oppdiktet" not in without.text
    assert " Name " not in without.text


def test_no_address_is_ever_told() -> None:
    """An e-mail address that got into any text of the night is left out of the page."""
    night = nights.everywhere(nights.full_night(), "sent to <kari.eksempel@example.org>, twice")
    html = page(night, language="en")
    assert "example.org" not in html
    assert "[address left out]" in html


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_night_becomes_markup(text: str) -> None:
    """Whatever stands in any text of a night is shown as it is: it adds no element, no attribute and no style."""
    night = nights.everywhere(nights.full_night(), text)
    found = read(night)
    is_whole(found)
    assert printable(text).replace("`", "").replace(" ", "") in found.text.replace("`", "").replace(" ", "")
    if "<" in text:
        assert text not in page(night, language="en")


@pytest.mark.parametrize("text", ["", "x" * 5000, "Å" * 300 + " " + "ß" * 300])
def test_texts_of_any_length_are_shown(text: str) -> None:
    """Empty and very long references, chapters and messages leave the page whole."""
    is_whole(read(nights.everywhere(nights.full_night(), text)))


def test_the_same_night_is_the_same_page() -> None:
    """Neither the order of sets nor the machine's own zone nor the moment of writing changes a letter."""
    program = (
        "import sys; from certjobs.cli.night_page import page; from tests import nights;"
        "sys.stdout.buffer.write(page(nights.full_night(), language='nn').encode())"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/Lima"))
    ]
    assert made[0] == made[1] == page(nights.full_night(), language="nn").encode()


def test_the_page_loads_its_libraries_only_when_it_is_written() -> None:
    """Importing the module loads neither templates nor languages, so that help stays quick."""
    program = "import sys, certjobs.cli.night_page; print(sorted({'jinja2', 'babel', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def run(job: str, at: datetime, status: str = "succeeded") -> PastRun:
    return PastRun(job, at, status, 0, 1.0)


def test_a_run_belongs_to_the_night_of_the_organisations_clock() -> None:
    """A run that starts before midnight UTC but after it in Oslo belongs to the later day."""
    history = [run("nightly", datetime(2026, 7, 1, 22, 30, tzinfo=UTC)), run("nightly", datetime(2026, 7, 1, 21, 30))]  # noqa: DTZ001 as a database may give it
    found = night_charts.nights(replace(nights.nothing(), history=history), OSLO)
    assert [day for day, _ in found.nights] == [date(2026, 7, 2), date(2026, 7, 1)]


def test_the_last_run_of_a_night_counts_unless_it_was_skipped() -> None:
    """A repeat that succeeds mends the night, one that found the lock taken says nothing, and all are counted."""
    at = nights.STARTED
    history = [run("nightly", at, status) for status in ("failed", "succeeded", "skipped")]
    history.append(run("sync", at, "skipped"))
    ((_, cells),) = night_charts.nights(replace(nights.nothing(), history=history), OSLO).nights
    assert [(cell.status, cell.runs) for cell in cells] == [("succeeded", 3), ("skipped", 1)]


def test_only_jobs_of_the_night_can_be_missing_from_it() -> None:
    """A night without the nightly run is a gap; one on which nobody imported a file is not."""
    history = [run(job, nights.STARTED - ago * DAY) for job in ("nightly", "roster import") for ago in (2, 0)]
    found = night_charts.nights(replace(nights.nothing(), history=history), OSLO)
    assert found.jobs == ["nightly", "roster import"]
    assert [(cell.status, cell.expected) for cell in found.nights[1][1]] == [(None, True), (None, False)]


def test_the_picture_of_the_past_holds_the_latest_weeks() -> None:
    """A history of a year is shown as far back as there is room, the latest night at the right edge."""
    history = [run("nightly", nights.STARTED - ago * DAY) for ago in range(365, -1, -1)]
    for canvas in (night_charts.WIDE, night_charts.NARROW):
        found = night_charts.grid(replace(nights.nothing(), history=history), OSLO, canvas)
        assert found is not None
        assert found.last_day == nights.TODAY
        assert found.first_day == nights.TODAY - (canvas.nights - 1) * DAY
        assert found.last + found.size == pytest.approx(canvas.width, abs=0.2)


def test_the_bars_are_as_high_as_the_numbers() -> None:
    """Each part of a bar is in proportion, parts stand on each other, and the axis ends at or above the highest."""
    for canvas in (night_charts.WIDE, night_charts.NARROW):
        found = night_charts.bars(nights.full_night(), canvas)
        assert found is not None
        (top_at, top), (half_at, half), (base_at, zero) = sorted(found.levels)
        assert (zero, half * 2) == (0, top)
        assert top >= max(bar.total for bar in found.bars)
        assert half_at == pytest.approx((top_at + base_at) / 2, abs=0.1)
        unit = (base_at - top_at) / top
        for bar in found.bars:
            assert sum(height for _, _, height in bar.parts) == pytest.approx(bar.total * unit, abs=0.2)
            assert bar.top == bar.parts[-1][1]
            assert found.left <= bar.x <= bar.x + found.bar <= canvas.width


def test_a_forecast_of_years_is_drawn_for_a_quarter_and_told_in_full() -> None:
    """The picture has as many nights as can be told apart, the table has all."""
    forecast = [ComingNight(nights.TODAY + each * DAY, {30: 1}, 0, 0) for each in range(1, 400)]
    night = replace(nights.nothing(), forecast=forecast, forecast_last=nights.TODAY + 400 * DAY)
    found = night_charts.bars(night, night_charts.WIDE)
    assert found is not None
    assert len(found.bars) < night_charts.FORECAST_NIGHTS
    assert "31 Dec 2027" in read(night).text


# Whatever a night may be.

# The mark in front makes any text that is not escaped an element of its own, and an attribute's end as well.
TEXTS = st.text(max_size=12).map(lambda text: f"\"'<zz>{text}")
NAMES = TEXTS | st.sampled_from(["nightly", "remind", "succeeded", "partial", "failed", "stuck", "paused", "sent"])
NUMBERS = st.integers(0, 10**7)
DATES = st.dates(date(2020, 1, 1), date(2035, 12, 31))
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 the bounds have no zone
LENGTHS = st.floats(0, 10**7)
CODES = st.sampled_from([int(code) for code in ExitCode]) | st.integers(-1, 300)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=3)


STEPS = st.builds(
    Step,
    NAMES,
    TEXTS,
    NAMES,
    CODES,
    st.none() | TEXTS,
    st.none() | TEXTS,
    LENGTHS,
    st.dictionaries(NAMES, NUMBERS, max_size=3),
    some(st.builds(Equation, NAMES, NUMBERS, some(st.tuples(NAMES, NUMBERS)))),
)
NIGHTS = st.builds(
    Night,
    run_id=TEXTS,
    started_at=MOMENTS,
    today=DATES,
    dry_run=st.booleans(),
    status=NAMES,
    exit_code=CODES,
    message=st.none() | TEXTS,
    hint=st.none() | TEXTS,
    seconds=LENGTHS,
    steps=some(STEPS),
    missed=some(
        st.builds(Missed, DATES, NAMES, some(TEXTS), some(st.tuples(TEXTS, st.integers(0, 90))), NUMBERS, NUMBERS)
    ),
    paused=some(st.builds(PausedMentor, TEXTS, TEXTS, TEXTS, DATES, NUMBERS, st.none() | TEXTS)),
    paused_total=NUMBERS,
    forecast_first=DATES,
    forecast_last=DATES,
    forecast=some(
        st.builds(ComingNight, DATES, st.dictionaries(st.integers(0, 90), NUMBERS, max_size=3), NUMBERS, NUMBERS)
    ),
    history=some(st.builds(PastRun, NAMES, MOMENTS, NAMES, st.none() | CODES, st.none() | LENGTHS)),
    queue=st.builds(Queue, NUMBERS, NUMBERS, NUMBERS, st.none() | LENGTHS, NUMBERS),
    exposed=some(st.builds(Exposed, TEXTS, TEXTS, MOMENTS, NUMBERS)),
    exposed_total=NUMBERS,
    findings=some(st.builds(Finding, NAMES, NUMBERS, NUMBERS, some(TEXTS))),
    volumes=some(st.builds(Volume, TEXTS, NAMES, NUMBERS, NUMBERS, st.booleans())),
    compared=st.booleans(),
    time_zone=st.just("Europe/Oslo"),
)


@given(night=NIGHTS, language=st.sampled_from(LANGUAGES))
def test_any_night_is_a_whole_page(night: Night, language: str) -> None:
    """Any night at all renders, nests, loads nothing, and shows its texts as text."""
    html = page(night, language=language)
    is_whole(Page(html))
    assert "<zz" not in html
    assert "<script" not in html
    assert "\x00" not in html
