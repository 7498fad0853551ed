"""The words of a night's page, in each language that it speaks.

What the program itself says of a run (messages, hints, examples) is English in every language and marked as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Plural = tuple[str, str]  # of one, and of any other number, with {n} for how many


@dataclass(frozen=True, slots=True, kw_only=True)
class NightWording:
    """One language. ``exits`` says by exit code what happened to the night, and what is to be done about it."""

    locale: str
    long_day: str  # a date written out, as a pattern of Unicode's date formats
    short_day: str
    tick_day: str
    seconds: str
    minutes: str
    hours: str
    address: str

    report: str
    night_of: str
    dry_run: str
    well_but: str
    exits: Mapping[int, tuple[str, str]]
    exit_unknown: tuple[str, str]
    worst: str
    worth_a_look: str
    attention_missed: Plural
    attention_exposed: Plural
    attention_unaccounted: Plural
    attention_new: Plural
    attention_volumes: Plural
    attention_dead: Plural
    attention_guarded: Plural

    statuses: Mapping[str, str]
    no_run: str
    exit_code: str
    took: str
    steps: str
    steps_none: str
    counts: str
    unaccounted: Plural
    too_many: Plural
    adds_up: str
    equations: Mapping[str, str]

    paused: tuple[str, str]  # what happened, and what would have in a dry-run
    paused_none: tuple[str, str]
    reference: str
    name: str
    organisation: str
    chapter: str
    last_valid_day: str
    notices: str
    more: str

    missed: str
    missed_none: str
    missed_pauses: Plural
    missed_reminders: Plural
    missed_nothing: str
    threshold: Plural

    exposed: str
    exposed_none: str
    exposed_what: str
    since: str
    how_long: str

    findings: str
    findings_none: str
    not_compared: str
    finding: str
    finding_meanings: Mapping[str, str]
    open: str
    new: str

    volumes: str
    what: str
    whats: Mapping[str, str]
    expected: str
    actual: str
    difference: str
    unexpected: str
    as_expected: str

    queue: str
    queue_empty: str
    queue_open: str
    queue_processing: str
    queue_dead: str
    queue_oldest: str
    queue_done: str

    forecast: str
    forecast_none: str
    forecast_what: str
    forecast_picture: str
    night: str
    reminders: str
    pauses: str
    guarded: str
    guarded_what: str
    as_table: str

    history: str
    history_none: str
    history_what: str
    history_picture: str
    job: str
    runs: Plural

    run: str
    started: str
    version: str


BOKMAAL = NightWording(
    locale="nb",
    long_day="EEEE d. MMMM y",
    short_day="d. MMM y",
    tick_day="d.M.",
    seconds="{n}\N{NO-BREAK SPACE}s",
    minutes="{n}\N{NO-BREAK SPACE}min",
    hours="{n}\N{NO-BREAK SPACE}t",
    address="[adresse utelatt]",
    report="Nattrapport",
    night_of="natt til {day}",
    dry_run="Tørrkjøring: Ingenting ble skrevet, og ingen ble varslet.",
    well_but="Natten gikk bra, men noe bør ses på",
    exits={
        0: ("Alt er i orden", "Ingen trenger å gjøre noe."),
        1: ("Natten feilet, og årsaken er ikke kjent", "Se i loggen for kjøringen."),
        2: ("Natten kom ikke i gang: Kommandoen var feil", "Rett kommandoen eller navnet på jobben."),
        3: (
            "Natten er ikke ferdig: Noe arbeid gjenstår",
            "Neste kjøring prøver igjen. Se nærmere på det som blir liggende.",
        ),
        4: ("Sperren stanset natten: Noen må godkjenne", "Se hvem det gjelder, og godkjenn med `certjobs approve`."),
        65: ("En fil ble avvist, og ingenting ble skrevet", "Rett filen, og les den inn på nytt."),
        69: ("Noe var utilgjengelig: database, nettside eller varsling", "Prøv igjen senere."),
        75: (
            "Ingenting ble gjort: En annen kjøring var i gang",
            "Ingen trenger å gjøre noe. Den andre kjøringen gjør jobben.",
        ),
        77: ("Påloggingen ble avvist: Noen må fornye den", "Forny nøkkelen eller passordet, og kjør igjen."),
        78: ("Oppsettet mangler eller er feil", "Rett innstillingene, og kjør igjen."),
        130: ("Natten ble avbrutt", "Det som rakk å bli gjort, står. Neste kjøring tar resten."),
        143: ("Natten ble stoppet utenfra", "Det som rakk å bli gjort, står. Neste kjøring tar resten."),
    },
    exit_unknown=("Natten endte med en ukjent sluttkode: {n}", "Se i loggen for kjøringen."),
    worst="Dårligst gikk det med {jobs}.",
    worth_a_look="Bør ses på",
    attention_missed=("1 kjøring uteble eller feilet", "{n} kjøringer uteble eller feilet"),
    attention_exposed=(
        "1 likeperson vises fortsatt på nettsiden etter at sertifiseringen gikk ut",
        "{n} likepersoner vises fortsatt på nettsiden etter at sertifiseringen gikk ut",
    ),
    attention_unaccounted=("1 regnestykke går ikke opp", "{n} regnestykker går ikke opp"),
    attention_new=("1 nytt funn", "{n} nye funn"),
    attention_volumes=("1 antall er langt fra det som var ventet", "{n} antall er langt fra det som var ventet"),
    attention_dead=(
        "1 endring til nettsiden er gitt opp og venter på et menneske",
        "{n} endringer til nettsiden er gitt opp og venter på et menneske",
    ),
    attention_guarded=(
        "Sperren kommer til å spørre om 1 likeperson, første gang {day}",
        "Sperren kommer til å spørre om {n} likepersoner, første gang {day}",
    ),
    statuses={
        "succeeded": "gikk bra",
        "partial": "delvis ferdig",
        "failed": "feilet",
        "skipped": "hoppet over",
        "abandoned": "døde underveis",
        "running": "pågår",
    },
    no_run="ingen kjøring",
    exit_code="Sluttkode",
    took="Tid",
    steps="Jobbene",
    steps_none="Ingen jobb kom i gang.",
    counts="Alle tall",
    unaccounted=("1 er ikke gjort rede for", "{n} er ikke gjort rede for"),
    too_many=("1 mer enn det var å gjøre", "{n} mer enn det var å gjøre"),
    adds_up="går opp",
    equations={
        "expired mentors": "utgåtte sertifiseringer",
        "notices owed": "varsler som skulle ut",
        "operations taken": "endringer fra køen",
        "paused": "satt på pause",
        "refused": "stanset av sperren",
        "failed": "feilet",
        "open": "gjenstår",
        "changed": "endret i mellomtiden",
        "sent": "sendt",
        "suppressed": "ikke lenger aktuelle",
        "superseded": "erstattet av nyere",
        "dead": "gitt opp",
        "unknown": "uvisst om de kom fram",
        "discarded": "forkastet",
        "done": "ferdig",
        "put back": "lagt tilbake",
        "not recorded": "ikke registrert",
        "entries on the website": "oppføringer på nettsiden",
        "agreeing": "stemmer",
        "too many": "for mye",
        "of nobody": "ingen sine",
        "not ours": "ikke våre",
        "mentors who differ": "likepersoner som avviker",
        "queued": "lagt i kø",
        "on their way": "allerede underveis",
        "given up before": "gitt opp før",
        "reported only": "bare meldt",
    },
    paused=("Satt på pause i natt", "Ville blitt satt på pause"),
    paused_none=("Ingen ble satt på pause i natt.", "Ingen ville blitt satt på pause."),
    reference="Referanse",
    name="Navn",
    organisation="Organisasjon",
    chapter="Lokallag",
    last_valid_day="Siste gyldige dag",
    notices="Varsler",
    more="og {n} til",
    missed="Netter som glapp",
    missed_none="Ingen natt har glippet.",
    missed_pauses=("1 satt på pause senere enn lovet", "{n} satt på pause senere enn lovet"),
    missed_reminders=("1 påminnelse senere enn lovet", "{n} påminnelser senere enn lovet"),
    missed_nothing="ingenting var å gjøre, ingen er berørt",
    threshold=("1 dag før", "{n} dager før"),
    exposed="Utgått, men fortsatt på nettsiden",
    exposed_none="Så vidt vi vet, vises ingen på nettsiden med utgått sertifisering.",
    exposed_what="Så vidt vi vet, vises disse fortsatt på nettsiden. De som har stått lengst, står først.",
    since="Skulle vært borte",
    how_long="Hvor lenge",
    findings="Funn",
    findings_none="Det er ingen åpne funn: Nettsiden og databasen stemmer overens.",
    not_compared="Nettsiden ble ikke sammenlignet i natt: Ingen vet om den viser det den skal.",
    finding="Funn",
    finding_meanings={
        "missing": "Skal vises på nettsiden, men gjør det ikke.",
        "extra": "Vises på nettsiden, men skal ikke det.",
        "unknown": "Står på nettsiden med en nøkkel som ingen likeperson har. Den blir stående til noen rydder opp.",
        "duplicate": "Et varsel gikk ut to ganger, eller noen ble satt på pause to ganger for samme sertifisering.",
        "stuck": "En endring til nettsiden eller et varsel er gitt opp eller har blitt liggende. Noen må se på det.",
        "lagging": "Tatt bort i portalen for lengst, men synes fortsatt på den offentlige nettsiden.",
        "warning": "Noen ble aktivert uten gyldig sertifisering. De vises ikke på nettsiden.",
        "unfinished": "En kjøring begynte og ble aldri ferdig.",
        "missed": "En natt uten en vellykket kjøring.",
    },
    open="Åpne",
    new="Nye",
    volumes="Ventet og faktisk",
    what="Hva",
    whats={"paused": "satt på pause", "reminders": "påminnelser"},
    expected="Ventet",
    actual="Faktisk",
    difference="Forskjell",
    unexpected="langt fra ventet",
    as_expected="som ventet",
    queue="Køen til nettsiden",
    queue_empty="Køen er tom.",
    queue_open="Venter",
    queue_processing="Under sending",
    queue_dead="Gitt opp",
    queue_oldest="Eldste har ventet",
    queue_done="Ferdig siste time",
    forecast="Ukene som kommer",
    forecast_none="Fra {first} til {last} er det ingen å minne på og ingen å sette på pause.",
    forecast_what="Ventet fra {first} til {last}, så lenge ingenting endres.",
    forecast_picture=(
        "Søyler natt for natt fra {first} til {last}: {reminders} påminnelser, {pauses} pauser og {guarded} "
        "som sperren vil spørre om. Tallene står i tabellen under."
    ),
    night="Natt til",
    reminders="Påminnelser",
    pauses="Pauser",
    guarded="Sperren spør",
    guarded_what="Sperren spør: pauser som venter på godkjenning.",
    as_table="Som tabell",
    history="Ukene som gikk",
    history_none="Ingen tidligere kjøringer er kjent.",
    history_what="Slik gikk det, natt for natt, til og med {last}.",
    history_picture=(
        "Rutenett fra {first} til {last} med en rad for hver jobb og en kolonne for hver natt. {told}. Alt "
        "står i tabellen under."
    ),
    job="Jobb",
    runs=("1 kjøring", "{n} kjøringer"),
    run="Kjøring",
    started="Startet",
    version="Versjon",
)

NYNORSK = NightWording(
    locale="nn",
    long_day="EEEE d. MMMM y",
    short_day="d. MMM y",
    tick_day="d.M.",
    seconds="{n}\N{NO-BREAK SPACE}s",
    minutes="{n}\N{NO-BREAK SPACE}min",
    hours="{n}\N{NO-BREAK SPACE}t",
    address="[adresse utelaten]",
    report="Nattrapport",
    night_of="natt til {day}",
    dry_run="Tørrkøyring: Ingenting vart skrive, og ingen vart varsla.",
    well_but="Natta gjekk bra, men noko bør sjåast på",
    exits={
        0: ("Alt er i orden", "Ingen treng å gjere noko."),
        1: ("Natta feila, og årsaka er ikkje kjend", "Sjå i loggen for køyringa."),
        2: ("Natta kom ikkje i gang: Kommandoen var feil", "Rett kommandoen eller namnet på jobben."),
        3: (
            "Natta er ikkje ferdig: Noko arbeid står att",
            "Neste køyring prøver igjen. Sjå nærare på det som blir liggjande.",
        ),
        4: ("Sperra stansa natta: Nokon må godkjenne", "Sjå kven det gjeld, og godkjenn med `certjobs approve`."),
        65: ("Ei fil vart avvist, og ingenting vart skrive", "Rett fila, og les ho inn på nytt."),
        69: ("Noko var utilgjengeleg: database, nettside eller varsling", "Prøv igjen seinare."),
        75: (
            "Ingenting vart gjort: Ei anna køyring var i gang",
            "Ingen treng å gjere noko. Den andre køyringa gjer jobben.",
        ),
        77: ("Pålogginga vart avvist: Nokon må fornye henne", "Forny nøkkelen eller passordet, og køyr igjen."),
        78: ("Oppsettet manglar eller er feil", "Rett innstillingane, og køyr igjen."),
        130: ("Natta vart avbroten", "Det som rakk å bli gjort, står. Neste køyring tek resten."),
        143: ("Natta vart stoppa utanfrå", "Det som rakk å bli gjort, står. Neste køyring tek resten."),
    },
    exit_unknown=("Natta enda med ein ukjend sluttkode: {n}", "Sjå i loggen for køyringa."),
    worst="Dårlegast gjekk det med {jobs}.",
    worth_a_look="Bør sjåast på",
    attention_missed=("1 køyring uteblei eller feila", "{n} køyringar uteblei eller feila"),
    attention_exposed=(
        "1 likeperson blir framleis vist på nettsida etter at sertifiseringa gjekk ut",
        "{n} likepersonar blir framleis viste på nettsida etter at sertifiseringa gjekk ut",
    ),
    attention_unaccounted=("1 reknestykke går ikkje opp", "{n} reknestykke går ikkje opp"),
    attention_new=("1 nytt funn", "{n} nye funn"),
    attention_volumes=("1 tal er langt frå det som var venta", "{n} tal er langt frå det som var venta"),
    attention_dead=(
        "1 endring til nettsida er gjeven opp og ventar på eit menneske",
        "{n} endringar til nettsida er gjevne opp og ventar på eit menneske",
    ),
    attention_guarded=(
        "Sperra kjem til å spørje om 1 likeperson, første gong {day}",
        "Sperra kjem til å spørje om {n} likepersonar, første gong {day}",
    ),
    statuses={
        "succeeded": "gjekk bra",
        "partial": "delvis ferdig",
        "failed": "feila",
        "skipped": "hoppa over",
        "abandoned": "døydde undervegs",
        "running": "er i gang",
    },
    no_run="inga køyring",
    exit_code="Sluttkode",
    took="Tid",
    steps="Jobbane",
    steps_none="Ingen jobb kom i gang.",
    counts="Alle tal",
    unaccounted=("1 er det ikkje gjort greie for", "{n} er det ikkje gjort greie for"),
    too_many=("1 meir enn det var å gjere", "{n} meir enn det var å gjere"),
    adds_up="går opp",
    equations={
        "expired mentors": "utgåtte sertifiseringar",
        "notices owed": "varsel som skulle ut",
        "operations taken": "endringar frå køen",
        "paused": "sette på pause",
        "refused": "stansa av sperra",
        "failed": "feila",
        "open": "står att",
        "changed": "endra i mellomtida",
        "sent": "sende",
        "suppressed": "ikkje lenger aktuelle",
        "superseded": "erstatta av nyare",
        "dead": "gjevne opp",
        "unknown": "uvisst om dei kom fram",
        "discarded": "forkasta",
        "done": "ferdige",
        "put back": "lagde tilbake",
        "not recorded": "ikkje registrerte",
        "entries on the website": "oppføringar på nettsida",
        "agreeing": "stemmer",
        "too many": "for mykje",
        "of nobody": "ingen sine",
        "not ours": "ikkje våre",
        "mentors who differ": "likepersonar som avvik",
        "queued": "lagde i kø",
        "on their way": "alt undervegs",
        "given up before": "gjevne opp før",
        "reported only": "berre melde",
    },
    paused=("Sett på pause i natt", "Ville ha vorte sett på pause"),
    paused_none=("Ingen vart sett på pause i natt.", "Ingen ville ha vorte sett på pause."),
    reference="Referanse",
    name="Namn",
    organisation="Organisasjon",
    chapter="Lokallag",
    last_valid_day="Siste gyldige dag",
    notices="Varsel",
    more="og {n} til",
    missed="Netter som glapp",
    missed_none="Inga natt har glippa.",
    missed_pauses=("1 sett på pause seinare enn lova", "{n} sette på pause seinare enn lova"),
    missed_reminders=("1 påminning seinare enn lova", "{n} påminningar seinare enn lova"),
    missed_nothing="ingenting var å gjere, ingen er råka",
    threshold=("1 dag før", "{n} dagar før"),
    exposed="Utgått, men framleis på nettsida",
    exposed_none="Så vidt vi veit, blir ingen viste på nettsida med utgått sertifisering.",
    exposed_what="Så vidt vi veit, blir desse framleis viste på nettsida. Dei som har stått lengst, står først.",
    since="Skulle ha vore borte",
    how_long="Kor lenge",
    findings="Funn",
    findings_none="Det er ingen opne funn: Nettsida og databasen stemmer overeins.",
    not_compared="Nettsida vart ikkje samanlikna i natt: Ingen veit om ho viser det ho skal.",
    finding="Funn",
    finding_meanings={
        "missing": "Skal visast på nettsida, men blir det ikkje.",
        "extra": "Blir vist på nettsida, men skal ikkje det.",
        "unknown": "Står på nettsida med ein nøkkel som ingen likeperson har. Han blir ståande til nokon ryddar opp.",
        "duplicate": "Eit varsel gjekk ut to gonger, eller nokon vart sett på pause to gonger for same sertifiseringa.",
        "stuck": "Ei endring til nettsida eller eit varsel er gjeve opp eller ligg fast. Nokon må sjå på det.",
        "lagging": "Teken bort i portalen for lengst, men synest framleis på den offentlege nettsida.",
        "warning": "Nokon vart aktivert utan gyldig sertifisering. Dei blir ikkje viste på nettsida.",
        "unfinished": "Ei køyring byrja og vart aldri ferdig.",
        "missed": "Ei natt utan ei vellukka køyring.",
    },
    open="Opne",
    new="Nye",
    volumes="Venta og faktisk",
    what="Kva",
    whats={"paused": "sette på pause", "reminders": "påminningar"},
    expected="Venta",
    actual="Faktisk",
    difference="Skilnad",
    unexpected="langt frå venta",
    as_expected="som venta",
    queue="Køen til nettsida",
    queue_empty="Køen er tom.",
    queue_open="Ventar",
    queue_processing="Under sending",
    queue_dead="Gjevne opp",
    queue_oldest="Den eldste har venta",
    queue_done="Ferdige siste time",
    forecast="Vekene som kjem",
    forecast_none="Frå {first} til {last} er det ingen å minne på og ingen å setje på pause.",
    forecast_what="Venta frå {first} til {last}, så lenge ingenting blir endra.",
    forecast_picture=(
        "Søyler natt for natt frå {first} til {last}: {reminders} påminningar, {pauses} pausar og {guarded} "
        "som sperra vil spørje om. Tala står i tabellen under."
    ),
    night="Natt til",
    reminders="Påminningar",
    pauses="Pausar",
    guarded="Sperra spør",
    guarded_what="Sperra spør: pausar som ventar på godkjenning.",
    as_table="Som tabell",
    history="Vekene som gjekk",
    history_none="Ingen tidlegare køyringar er kjende.",
    history_what="Slik gjekk det, natt for natt, til og med {last}.",
    history_picture=(
        "Rutenett frå {first} til {last} med ei rad for kvar jobb og ei kolonne for kvar natt. {told}. Alt "
        "står i tabellen under."
    ),
    job="Jobb",
    runs=("1 køyring", "{n} køyringar"),
    run="Køyring",
    started="Starta",
    version="Versjon",
)

ENGLISH = NightWording(
    locale="en",
    long_day="EEEE d MMMM y",
    short_day="d MMM y",
    tick_day="d MMM",
    seconds="{n}\N{NO-BREAK SPACE}s",
    minutes="{n}\N{NO-BREAK SPACE}min",
    hours="{n}\N{NO-BREAK SPACE}h",
    address="[address left out]",
    report="Nightly report",
    night_of="night of {day}",
    dry_run="Dry-run: nothing was written and nobody was told.",
    well_but="The night went well, but something needs a look",
    exits={
        0: ("All is well", "Nobody has to do anything."),
        1: ("The night failed, and the cause is not known", "Look into the log of the run."),
        2: ("The night did not start: the command was wrong", "Correct the command or the name of the job."),
        3: ("The night is not finished: work is still open", "The next run tries again. Look into what stays open."),
        4: ("The guard stopped the night: a person must approve", "See whom it is about, then `certjobs approve`."),
        65: ("A file was rejected, and nothing was written", "Correct the file and read it in again."),
        69: ("Something was out of reach: database, website or notices", "Try again later."),
        75: ("Nothing was done: another run was at work", "Nobody has to do anything. The other run does the work."),
        77: ("Credentials were rejected: somebody must renew them", "Renew the key or the password and run again."),
        78: ("The configuration is missing or wrong", "Correct the settings and run again."),
        130: ("The night was interrupted", "What was done by then stays. The next run does the rest."),
        143: ("The night was stopped from outside", "What was done by then stays. The next run does the rest."),
    },
    exit_unknown=("The night ended with an unknown exit code: {n}", "Look into the log of the run."),
    worst="The worst outcome was that of {jobs}.",
    worth_a_look="Worth a look",
    attention_missed=("1 run was missed or failed", "{n} runs were missed or failed"),
    attention_exposed=(
        "1 mentor is still listed on the website though the certification has expired",
        "{n} mentors are still listed on the website though their certifications have expired",
    ),
    attention_unaccounted=("1 sum does not add up", "{n} sums do not add up"),
    attention_new=("1 new finding", "{n} new findings"),
    attention_volumes=("1 number is far from what was expected", "{n} numbers are far from what was expected"),
    attention_dead=(
        "1 change for the website was given up and waits for a person",
        "{n} changes for the website were given up and wait for a person",
    ),
    attention_guarded=(
        "The guard will ask about 1 mentor, first on {day}",
        "The guard will ask about {n} mentors, first on {day}",
    ),
    statuses={
        "succeeded": "succeeded",
        "partial": "partly done",
        "failed": "failed",
        "skipped": "skipped",
        "abandoned": "died on the way",
        "running": "running",
    },
    no_run="no run",
    exit_code="Exit code",
    took="Time",
    steps="The jobs",
    steps_none="No job was started.",
    counts="All counts",
    unaccounted=("1 is not accounted for", "{n} are not accounted for"),
    too_many=("1 more than there was to do", "{n} more than there was to do"),
    adds_up="adds up",
    equations={},
    paused=("Paused tonight", "Would be paused"),
    paused_none=("Nobody was paused tonight.", "Nobody would be paused."),
    reference="Reference",
    name="Name",
    organisation="Organisation",
    chapter="Chapter",
    last_valid_day="Last valid day",
    notices="Notices",
    more="and {n} more",
    missed="Nights missed",
    missed_none="No night was missed.",
    missed_pauses=("1 paused later than promised", "{n} paused later than promised"),
    missed_reminders=("1 reminder later than promised", "{n} reminders later than promised"),
    missed_nothing="there was nothing to do, nobody is affected",
    threshold=("1 day ahead", "{n} days ahead"),
    exposed="Expired, still listed",
    exposed_none="As far as is known, nobody is listed on the website with an expired certification.",
    exposed_what="As far as is known, the website still shows them. Those who have stood there longest come first.",
    since="Should have left",
    how_long="How long",
    findings="Findings",
    findings_none="No findings are open: the website and the database agree.",
    not_compared="The website was not compared tonight: nobody knows whether it shows what it should.",
    finding="Finding",
    finding_meanings={
        "missing": "To be listed on the website, but not there.",
        "extra": "Listed on the website, but not to be.",
        "unknown": "On the website with a key that no mentor has. It stays until somebody clears it up.",
        "duplicate": "A notice went out twice, or somebody was paused twice for one certification.",
        "stuck": "A change for the website, or a notice, was given up or lies still. Somebody must look at it.",
        "lagging": "Taken off in the portal long ago, and still visible on the public site.",
        "warning": "Somebody was made active without a valid certification. The website does not list them.",
        "unfinished": "A run began and never ended.",
        "missed": "A night without a successful run.",
    },
    open="Open",
    new="New",
    volumes="Expected and actual",
    what="What",
    whats={"paused": "paused", "reminders": "reminders"},
    expected="Expected",
    actual="Actual",
    difference="Difference",
    unexpected="far from expected",
    as_expected="as expected",
    queue="The queue to the website",
    queue_empty="The queue is empty.",
    queue_open="Waiting",
    queue_processing="Being sent",
    queue_dead="Given up",
    queue_oldest="Oldest has waited",
    queue_done="Done in the last hour",
    forecast="The weeks to come",
    forecast_none="From {first} to {last} there is nobody to remind of and nobody to pause.",
    forecast_what="Expected from {first} to {last}, as long as nothing changes.",
    forecast_picture=(
        "Bars, night by night from {first} to {last}: {reminders} reminders, {pauses} pauses and {guarded} "
        "that the guard will ask about. The numbers are in the table below."
    ),
    night="Night",
    reminders="Reminders",
    pauses="Pauses",
    guarded="Guard asks",
    guarded_what="Guard asks: pauses that wait for approval.",
    as_table="As a table",
    history="The weeks gone by",
    history_none="No earlier runs are known.",
    history_what="How it went, night by night, up to {last}.",
    history_picture=(
        "A grid from {first} to {last} with a row for each job and a column for each night. {told}. All of "
        "it is in the table below."
    ),
    job="Job",
    runs=("1 run", "{n} runs"),
    run="Run",
    started="Started",
    version="Version",
)

NIGHT_WORDINGS = {each.locale: each for each in (BOKMAAL, NYNORSK, ENGLISH)}
