"""The words of a letter to a coordinator, in each language that coordinators have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One language. What differs between one and many is a pair, with ``{n}`` for how many.

    ``when`` in ``{when}`` is one of the phrases for a day: today, tomorrow, so many days ahead or ago.
    """

    day: str  # how a date is written out, as a pattern of Unicode's date formats
    locale: str

    greeting: str
    greeting_nobody: str
    rehearsal: str

    today: str
    tomorrow: str
    yesterday: str
    ahead: str
    ago: str

    paused: tuple[str, str]
    expires: tuple[str, str]
    expire_first: str
    expired_one: str
    expired_some: str

    paused_title: str
    paused_what: tuple[str, str]
    paused_steps: tuple[str, str, str]
    expiring_title: str
    expiring_steps: tuple[str, str]
    expiring_else: str

    what_to_do: str
    last_valid_day: str
    reference: str
    calendar_note: tuple[str, str]
    why: tuple[str, str]
    reply: str

    event: str
    event_what: str
    file_name: str


BOKMAAL = Wording(
    day="EEEE d. MMMM y",
    locale="nb",
    greeting="Hei, {name}!",
    greeting_nobody="Hei!",
    rehearsal="Prøvekjøring: Denne e-posten var til {recipient}.",
    today="i dag",
    tomorrow="i morgen",
    yesterday="i går",
    ahead="om {n} dager",
    ago="for {n} dager siden",
    paused=("1 likeperson er satt på pause", "{n} likepersoner er satt på pause"),
    expires=("1 sertifisering går ut {when}", "{n} sertifiseringer går ut {when}"),
    expire_first="{n} sertifiseringer går ut, den første {when}",
    expired_one="1 sertifisering gikk ut {when}",
    expired_some="{n} sertifiseringer går ut eller har gått ut",
    paused_title="Satt på pause",
    paused_what=(
        "Sertifiseringen har gått ut, og likepersonen vises ikke lenger på nettsiden.",
        "Sertifiseringene har gått ut, og likepersonene vises ikke lenger på nettsiden.",
    ),
    paused_steps=(
        "Forny sertifiseringen hvis likepersonen skal fortsette.",
        "Registrer den nye sertifiseringen.",
        "Aktiver likepersonen igjen. Det skjer ikke av seg selv når sertifiseringen fornyes.",
    ),
    expiring_title="Går snart ut",
    expiring_steps=(
        "Forny sertifiseringen senest siste gyldige dag.",
        "Registrer den nye sertifiseringen innen samme frist.",
    ),
    expiring_else="Ellers settes likepersonen på pause natten etter og forsvinner fra nettsiden.",
    what_to_do="Dette gjør du",
    last_valid_day="Siste gyldige dag",
    reference="ref.",
    calendar_note=(
        "Datoen ligger ved som en kalenderfil.",
        "Datoene ligger ved som en kalenderfil.",
    ),
    why=(
        "Du får denne e-posten fordi du følger opp denne likepersonen. Den er sendt automatisk.",
        "Du får denne e-posten fordi du følger opp disse likepersonene. Den er sendt automatisk.",
    ),
    reply="Spørsmål? Svar på denne e-posten.",
    event="Siste gyldige dag: sertifiseringen til {name}",
    event_what="Uten fornyelse settes likepersonen på pause natten etter og forsvinner fra nettsiden.",
    file_name="sertifiseringer.ics",
)

NYNORSK = Wording(
    day="EEEE d. MMMM y",
    locale="nn",
    greeting="Hei, {name}!",
    greeting_nobody="Hei!",
    rehearsal="Prøvekøyring: Denne e-posten var til {recipient}.",
    today="i dag",
    tomorrow="i morgon",
    yesterday="i går",
    ahead="om {n} dagar",
    ago="for {n} dagar sidan",
    paused=("1 likeperson er sett på pause", "{n} likepersonar er sette på pause"),
    expires=("1 sertifisering går ut {when}", "{n} sertifiseringar går ut {when}"),
    expire_first="{n} sertifiseringar går ut, den første {when}",
    expired_one="1 sertifisering gjekk ut {when}",
    expired_some="{n} sertifiseringar går ut eller har gått ut",
    paused_title="Sett på pause",
    paused_what=(
        "Sertifiseringa har gått ut, og likepersonen blir ikkje lenger vist på nettsida.",
        "Sertifiseringane har gått ut, og likepersonane blir ikkje lenger viste på nettsida.",
    ),
    paused_steps=(
        "Forny sertifiseringa dersom likepersonen skal halde fram.",
        "Registrer den nye sertifiseringa.",
        "Aktiver likepersonen igjen. Det skjer ikkje av seg sjølv når sertifiseringa blir fornya.",
    ),
    expiring_title="Går snart ut",
    expiring_steps=(
        "Forny sertifiseringa seinast siste gyldige dag.",
        "Registrer den nye sertifiseringa innan same frist.",
    ),
    expiring_else="Elles blir likepersonen sett på pause natta etter og forsvinn frå nettsida.",
    what_to_do="Dette gjer du",
    last_valid_day="Siste gyldige dag",
    reference="ref.",
    calendar_note=(
        "Datoen ligg ved som ei kalenderfil.",
        "Datoane ligg ved som ei kalenderfil.",
    ),
    why=(
        "Du får denne e-posten fordi du følgjer opp denne likepersonen. Han er send automatisk.",
        "Du får denne e-posten fordi du følgjer opp desse likepersonane. Han er send automatisk.",
    ),
    reply="Spørsmål? Svar på denne e-posten.",
    event="Siste gyldige dag: sertifiseringa til {name}",
    event_what="Utan fornying blir likepersonen sett på pause natta etter og forsvinn frå nettsida.",
    file_name="sertifiseringar.ics",
)

ENGLISH = Wording(
    day="EEEE d MMMM y",
    locale="en",
    greeting="Hello {name},",
    greeting_nobody="Hello,",
    rehearsal="Rehearsal: this message was for {recipient}.",
    today="today",
    tomorrow="tomorrow",
    yesterday="yesterday",
    ahead="in {n} days",
    ago="{n} days ago",
    paused=("1 mentor has been paused", "{n} mentors have been paused"),
    expires=("1 certification expires {when}", "{n} certifications expire {when}"),
    expire_first="{n} certifications expire, the first {when}",
    expired_one="1 certification expired {when}",
    expired_some="{n} certifications expire soon or have expired",
    paused_title="Paused",
    paused_what=(
        "The certification has expired, and the mentor is no longer shown on the website.",
        "The certifications have expired, and the mentors are no longer shown on the website.",
    ),
    paused_steps=(
        "Renew the certification if the mentor is to continue.",
        "Register the new certification.",
        "Reinstate the mentor. A renewal alone does not do that.",
    ),
    expiring_title="Expiring soon",
    expiring_steps=(
        "Renew the certification no later than its last valid day.",
        "Register the new certification by then.",
    ),
    expiring_else="Otherwise the mentor is paused the night after and leaves the website.",
    what_to_do="What to do",
    last_valid_day="Last valid day",
    reference="ref.",
    calendar_note=(
        "The date is attached as a calendar file.",
        "The dates are attached as a calendar file.",
    ),
    why=(
        "You get this message because you look after this mentor. It was sent automatically.",
        "You get this message because you look after these mentors. It was sent automatically.",
    ),
    reply="Questions? Reply to this message.",
    event="Last valid day: the certification of {name}",
    event_what="Without a renewal the mentor is paused the night after and leaves the website.",
    file_name="certifications.ics",
)

WORDINGS = {each.locale: each for each in (BOKMAAL, NYNORSK, ENGLISH)}
