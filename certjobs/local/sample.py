"""A made-up roster for demos, told around one night.

The same date gives the same roster, byte for byte: every draw comes from one generator with a fixed seed, and
the dates are day counts from `as_of`, so the people and the story stay the same while the calendar moves. The
story is the two tables of groups below; what the tables do not say (who sits in which chapter, which far-off
day a certification ends) is drawn. Nobody in it exists: surnames and places are put together from nature
words, and all addresses are under example.org.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, NamedTuple, TextIO

COLUMNS = (
    "mentor_ref",
    "name",
    "organisation",
    "chapter",
    "coordinators",
    "certificate_ref",
    "issued_on",
    "expires_on",
    "withdrawn_on",
)

_SEED = 20261122
_VALID_DAYS = 1096  # a day more than _LATER reaches, so that every certification was issued before as_of

_Shape = Literal["single", "renewed", "overlapping", "replaced", "withdrawn"]


class _Certification(NamedTuple):
    """One certification, its dates as days from as_of."""

    issued: int
    expires: int
    withdrawn: int | None = None


@dataclass(frozen=True, slots=True)
class _Group:
    """Mentors who play one part; `ends`: the days from as_of their certification_expiry is drawn from."""

    count: int
    ends: Sequence[int]
    shape: _Shape = "single"
    coordinators: int = 1
    paused: str = ""


@dataclass(frozen=True, slots=True)
class _Organisation:
    """An organisation, its chapters and the parts its mentors play."""

    code: str
    chapters: tuple[str, ...]
    groups: tuple[_Group, ...]


class _Mentor(NamedTuple):
    """A mentor of the roster, before as_of turns day counts into dates."""

    ref: str
    name: str
    organisation: str
    chapter: str
    coordinators: str
    certifications: list[_Certification]
    paused: str


_NEVER = ()
_YESTERDAY = (-1,)
_MISSED_NIGHTS = range(-5, -1)
_LONG_AGO = range(-200, -39)
_TODAY = (0,)
_LATER = range(31, 1096)  # beyond every threshold, up to three years ahead

_HLF = _Organisation(
    code="HLF",
    chapters=(
        "Blåbærvik",
        "Bjørkesundet",
        "Kantarellheim",
        "Lyngøyene",
        "Multedalen",
        "Rognebæråsen",
        "Storgranby",
        "Tyttebærnes",
    ),
    groups=(
        # 16 whom the night pauses
        _Group(6, _YESTERDAY),
        _Group(3, _YESTERDAY, coordinators=2),
        _Group(1, _YESTERDAY, coordinators=0),
        _Group(1, _YESTERDAY, "renewed"),
        _Group(1, _YESTERDAY, "withdrawn"),
        _Group(3, _MISSED_NIGHTS),
        _Group(1, _MISSED_NIGHTS, coordinators=2),
        # 5 paused by hand, 2 of them expired: the night leaves them alone
        _Group(1, _YESTERDAY, paused="on leave until {back}"),
        _Group(1, (-60,), paused="moving house, chapter not settled yet"),
        _Group(1, _LATER, paused="asked for a break, wants a call on {back}"),
        _Group(1, _LATER, paused="studying abroad, back in {next_year}"),
        _Group(1, _LATER, paused="changing chapter, waiting for a new coordinator"),
        # 18 who reach a threshold, 2 in their last valid day
        _Group(4, (30,)),
        _Group(1, (30,), coordinators=2),
        _Group(1, (30,), "renewed"),
        _Group(4, (14,)),
        _Group(1, (14,), coordinators=2),
        _Group(1, (14,), coordinators=0),
        _Group(5, (7,)),
        _Group(1, (7,), coordinators=2),
        _Group(1, _TODAY),
        _Group(1, _TODAY, coordinators=2),
        # 10 without a certification, and everybody else
        _Group(9, _NEVER),
        _Group(1, _NEVER, coordinators=0),
        _Group(40, _LATER, "renewed"),
        _Group(10, _LATER, "overlapping"),
        _Group(6, _LATER, "replaced"),
        _Group(24, _LATER, coordinators=2),
        _Group(3, _LATER, coordinators=0),
        _Group(186, _LATER),
    ),
)

_NHF = _Organisation(
    code="NHF",
    chapters=("Einerlunden", "Kråkebærmo", "Tranebærfjorden"),
    groups=(
        # 6 expired, some long ago: nobody pauses them
        _Group(2, _YESTERDAY),
        _Group(1, _YESTERDAY, coordinators=2),
        _Group(1, _MISSED_NIGHTS),
        _Group(2, _LONG_AGO),
        # 6 who reach a threshold, 1 in the last valid day
        _Group(1, (30,)),
        _Group(1, (30,), coordinators=2),
        _Group(2, (14,)),
        _Group(1, (7,)),
        _Group(1, (7,), coordinators=0),
        _Group(1, _TODAY),
        # 2 without a certification, and everybody else
        _Group(2, _NEVER),
        _Group(10, _LATER, "renewed"),
        _Group(3, _LATER, "overlapping"),
        _Group(2, _LATER, "replaced"),
        _Group(6, _LATER, coordinators=2),
        _Group(1, _LATER, coordinators=0),
        _Group(43, _LATER),
    ),
)

_GIVEN_NAMES = """
    Anne Astrid Bjørn Bodil Camilla Dagfinn Eirik Emma Geir Gunnar Henrik Hilde Håkon Ingrid Jakob Jorunn Kari
    Knut Kåre Lars Liv Magnus Marit Nora Ole Per Pål Ragnhild Silje Solveig Sverre Sølvi Terje Tor Trond Turid
    Unni Vidar Øystein Åse
"""

_SURNAMES = """
    Bjørkeåsvik Blåklokkeeng Drivtømmerbukt Einerbusktun Ekornhalehei Elgtråkkmo Fjellbekkmo Fossegrimli
    Furukonglevik Granbarli Hareskogtjern Havgulesund Hvitveisbakk Kantarellrud Kråkebærhei Lyngskarnes
    Multemyrsand Måkeskjærnes Nordlyshaugen Ospeløvlund Regnbuedal Rognebærtun Rypefjærli Røsslynghaug
    Snøfonnstad Solbakkdal Steinrøysbakk Stjerneskuddvik Tiurleikåsen Torvmoseby Tyttebærli Tåkeheimdal
    Vårflomnes
"""

_PLAIN_LETTERS = str.maketrans({"æ": "ae", "ø": "oe", "å": "aa", " ": "."})


def sample_roster(as_of: date) -> Iterator[dict[str, str]]:
    """Yield the roster as it stands on the night `as_of`, one row a certification, in mentor order."""
    for mentor in _mentors():
        common = (mentor.ref, mentor.name, mentor.organisation, mentor.chapter, mentor.coordinators)
        if not mentor.certifications:
            yield dict(zip(COLUMNS, (*common, "", "", "", ""), strict=True))
        for ordinal, certification in enumerate(mentor.certifications, start=1):
            reference = f"C-{mentor.ref}-{ordinal}"
            dates = (_iso(as_of, days) for days in certification)
            yield dict(zip(COLUMNS, (*common, reference, *dates), strict=True))


def paused_by_hand(as_of: date) -> tuple[tuple[str, str], ...]:
    """Return (mentor_ref, reason) of those a person pauses before the night: the roster cannot say that."""
    back = as_of + timedelta(days=90)
    return tuple(
        (mentor.ref, mentor.paused.format(back=back, next_year=as_of.year + 1))
        for mentor in _mentors()
        if mentor.paused
    )


def write_sample(stream: TextIO, as_of: date) -> None:
    r"""Write the roster to `stream` as CSV with a header; every line ends in a plain \n."""
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sample_roster(as_of))


def _iso(as_of: date, days: int | None) -> str:
    return "" if days is None else (as_of + timedelta(days=days)).isoformat()


def _mentors() -> Iterator[_Mentor]:
    """Yield every mentor of both organisations, the same ones on every call."""
    rng = random.Random(_SEED)  # noqa: S311 - a repeatable demo is the point, nothing here is secret
    names = [f"{given} {surname}" for given in _GIVEN_NAMES.split() for surname in _SURNAMES.split()]
    rng.shuffle(names)
    unused = iter(names)  # each name is used once, so an address built from one has one name
    for organisation in (_HLF, _NHF):
        yield from _members(organisation, rng, unused)


def _members(organisation: _Organisation, rng: random.Random, unused: Iterator[str]) -> Iterator[_Mentor]:
    """Yield the mentors of one organisation, its parts dealt out in a mixed order."""
    teams = [
        (chapter, [_coordinator(next(unused)) for _ in range(2 + position % 2)])
        for position, chapter in enumerate(organisation.chapters)
    ]
    parts = [group for group in organisation.groups for _ in range(group.count)]
    rng.shuffle(parts)
    for number, part in enumerate(parts, start=1):
        chapter, team = rng.choice(teams)
        yield _Mentor(
            ref=f"{organisation.code}-{number:04}",
            name=next(unused),
            organisation=organisation.code,
            chapter=chapter,
            coordinators="|".join(rng.sample(team, part.coordinators)),
            certifications=_certifications(part, rng),
            paused=part.paused,
        )


def _coordinator(name: str) -> str:
    """Return a coordinator as the roster writes one: the name, and an ASCII address made from it."""
    return f"{name} <{name.lower().translate(_PLAIN_LETTERS)}@example.org>"


def _certifications(part: _Group, rng: random.Random) -> list[_Certification]:
    """Return the certifications of a mentor who plays `part`, oldest first; the latest end is in `ends`."""
    if not part.ends:
        return []
    end = rng.choice(part.ends)
    newest = _ending(end)
    match part.shape:
        case "single":
            return [newest]
        case "renewed":
            return [_ending(min(-1, newest.issued + rng.randint(0, 60))), newest]
        case "overlapping":
            return [_ending((_LATER.start + end) // 2), newest]
        case "replaced":
            old = _ending(end - rng.randint(200, 800))
            return [old._replace(withdrawn=newest.issued - rng.randint(1, 60)), newest]
        case "withdrawn":  # it had more than a year left; the day before it was withdrawn was its last
            return [_ending(end + 400)._replace(withdrawn=end + 1)]


def _ending(expires: int) -> _Certification:
    """Return a certification of the usual length whose last valid day is `expires`."""
    return _Certification(issued=expires - _VALID_DAYS, expires=expires)
