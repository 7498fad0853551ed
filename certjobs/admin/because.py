"""Why a mentor is, or is not, paused, reminded and listed on a day: a sentence for each reason, with its rule and row.

What holds is what the rules in the database answered; here it is put into words. The README describes each rule under
the name that a sentence gives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from certjobs.domain.days import local
from certjobs.domain.listing import waits, why
from certjobs.domain.syncing import PUBLIC_AFTER
from certjobs.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from certjobs.db.explanations import Day
    from certjobs.db.operations import ListingState

EXPIRY = "the rule on expiry"
PAUSING = "the rule on pausing"
RENEWALS = "the rule on renewals"
REMINDERS = "the rule on reminders"
RECIPIENTS = "the rule on recipients"
LISTING = "the rule on the public listing"
SENDING = "the rule on sending to the website"
MASS_CHANGE = "the rule on mass change"
PAST = "the rule on the past"
RULES = (EXPIRY, PAUSING, RENEWALS, REMINDERS, RECIPIENTS, LISTING, SENDING, MASS_CHANGE, PAST)
SHORT = 8  # characters of a run's id
LISTS_OTHERWISE = {"remove": "listed", "restore": "not listed"}  # the answer that an operation is the opposite of


@dataclass(frozen=True, slots=True)
class Because:
    """One reason: what it is about, the answer there, in words, by which rule, from which row.

    ``answer`` is None where the past cannot be known.
    """

    about: str
    answer: bool | None
    sentence: str
    rule: str
    row: Mapping[str, Any]


@dataclass(slots=True)
class _Reasons:
    """The reasons of one answer."""

    about: str
    answer: bool | None
    found: list[Because] = field(default_factory=list)

    def add(self, sentence: str, rule: str, row: Mapping[str, Any]) -> None:
        """Add one; the first says what the answer is."""
        self.found.append(Because(self.about, self.answer, sentence, rule, row))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: about which mentor on which day, and what was read of them.

    ``operation`` is what is on its way to the website, or was last; None of a day that is over. ``setting`` is where
    the thresholds come from.
    """

    ref: str
    on: date
    today: date
    day: Day
    operation: ListingState | None
    thresholds: Sequence[int]
    setting: Mapping[str, Any]

    @property
    def until(self) -> str:
        """The last valid day in words."""
        return str(self.day.certification_expiry or "a day without end")


def because(asked: Asked) -> list[Because]:
    """Return every reason, by what it is about: pause, reminder, listing."""
    return [*_pause(asked), *_reminder(asked), *_listing(asked)]


# Rows.


def _organisation(day: Day, setting: str) -> dict[str, Any]:
    return {
        "table": "organisations",
        "organisation": day.organisation,
        "setting": setting,
        "value": getattr(day, setting),
    }


def _certificate(day: Day) -> dict[str, Any]:
    return {"table": "certifications", **(day.certificate or {"certificate_ref": None})}


def _event(day: Day) -> dict[str, Any]:
    changed = day.changed or {}
    names = ("id", "event", "effective_on", "occurred_at", "run_id")
    return {"table": "mentor_status_events", **{name: changed.get(name) for name in names}}


def _ledger(day: Day, row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("threshold_day", "status", "decided_on", "run_id")
    return {
        "table": "cert_expiry_reminders",
        "certification_expiry": day.certification_expiry,
        **{name: row[name] for name in names},
    }


def _by_run(run_id: object) -> str:
    return f" in run {str(run_id)[:SHORT]}" if run_id else ""


def _days(thresholds: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(thresholds, reverse=True)))


def _unknown(asked: Asked, about: str) -> list[Because]:
    """Say that the past is not known."""
    since = asked.day.known_since
    begins = f"begins on {local(since, asked.day.time_zone):%Y-%m-%d}" if since else "is gone, or never was"
    sentence = (
        f"How it was on {asked.on} cannot be known: what is written of this mentor {begins}, and what was before, or"
        " was erased, is told by nobody."
    )
    return [Because(about, None, sentence, PAST, {"table": "certification_events", "known_since": since})]


# Pausing.


def _pause(asked: Asked) -> list[Because]:
    """Say why the mentor is paused once that day's expiry-check is over, or is not."""
    day = asked.day
    if not day.status_known or day.status is None or (day.status == "active" and not day.expiry_known):
        return _unknown(asked, "pause")
    if day.status == "paused":
        return _paused(asked)
    if day.expired:
        return _expired(asked)
    reasons = _Reasons("pause", answer=False)
    if not day.certified:
        reasons.add(
            "Not paused: active, and there never was a certification, so none has ended.", EXPIRY, _certificate(day)
        )
    else:
        certificate = (day.certificate or {}).get("certificate_ref")
        by = f" by certification {certificate}" if certificate else ""
        reasons.add(f"Not paused: active, and certified until {asked.until}{by}.", EXPIRY, _certificate(day))
    if not day.auto_pause:
        reasons.add(_no_auto_pause(day), PAUSING, _organisation(day, "auto_pause"))
    return reasons.found


def _paused(asked: Asked) -> list[Because]:
    day, changed = asked.day, asked.day.changed
    reasons = _Reasons("pause", answer=True)
    if changed is None or changed["to_status"] != "paused":
        why_paused = f" ({day.pause_reason})" if day.pause_reason else ""
        reasons.add(
            f"Paused{why_paused}; when and by whom is not written down, or no longer.",
            PAUSING,
            {"table": "peer_mentors"},
        )
    elif day.pause_reason == "expired_cert":
        reasons.add(
            f"Paused: expiry-check did it on {changed['effective_on']}{_by_run(changed['run_id'])}, because the"
            " certification had ended.",
            PAUSING,
            _event(day),
        )
    else:
        given = f": {day.pause_reason}" if day.pause_reason else ", without a reason"
        reasons.add(
            f"Paused by hand, by {changed['actor']} on {changed['effective_on']}{given}. The nightly job leaves them"
            " alone.",
            PAUSING,
            _event(day),
        )
    if day.pause_reason == "expired_cert" and day.certified and not day.expired and day.expiry_known:
        reasons.add(
            f"Certified again until {asked.until}, but a renewal never reinstates: a person does, with"
            f" `certjobs mentors reinstate {asked.ref}`.",
            RENEWALS,
            _certificate(day),
        )
    return reasons.found


def _expired(asked: Asked) -> list[Because]:
    """Say what becomes of an active mentor whose certification has ended."""
    day = asked.day
    ended = f"the certification ended on {asked.until}"
    guarded = day.guarded.get("expiry-check")
    if not day.auto_pause:
        reasons = _Reasons("pause", answer=False)
        reasons.add(f"Not paused, though {ended}. {_no_auto_pause(day)}", PAUSING, _organisation(day, "auto_pause"))
    elif day.past:
        reasons = _Reasons("pause", answer=False)
        reasons.add(
            f"Not paused by the end of that day, though {ended}: no run had done it. The next one does.",
            PAUSING,
            _certificate(day),
        )
    elif guarded is not None and not guarded["approved"]:
        reasons = _Reasons("pause", answer=False)
        reasons.add(
            f"Not paused, though {ended}: the guard refused to pause so many at once (set {guarded['hash']}), and"
            f" waits for a person, or until few enough are left: `certjobs approve {guarded['hash']} --reason TEXT`.",
            MASS_CHANGE,
            {"table": "guarded_sets", **guarded},
        )
    else:
        reasons = _Reasons("pause", answer=True)
        first = (day.certification_expiry or asked.on) + timedelta(days=1)
        when = f"in the night of {asked.on}" if asked.on == asked.today else f"by {asked.on}, from {first} on"
        reasons.add(f"Will be paused {when}: active, and {ended}.", PAUSING, _certificate(day))
    return reasons.found


def _no_auto_pause(day: Day) -> str:
    return f"{day.organisation} does not let the nightly job pause anybody: auto_pause is off."


# Reminders.


def _reminder(asked: Asked) -> list[Because]:
    """Say why coordinators are reminded that day, or are not; when the next time is, and who hears it."""
    day = asked.day
    if not (day.status_known and day.expiry_known) or day.status is None:
        return _unknown(asked, "reminder")
    told = [row for row in day.ledger if row["status"] == "due" and row["decided_on"] == asked.on.isoformat()]
    due = day.due is not None and day.remind
    reasons = _Reasons("reminder", answer=bool(told) or due)
    if told:
        _told(asked, reasons, told[0])
    elif due:
        _due(asked, reasons)
    else:
        _not_reminded(asked, reasons)
    if day.next_due is not None and day.remind:
        days = (day.certification_expiry - day.next_due).days if day.certification_expiry else 0
        reasons.add(
            f"The next reminder is due on {day.next_due}, {counted(days, 'day')} before the certification ends.",
            REMINDERS,
            asked.setting,
        )
    for snooze in day.snoozes:
        reasons.add(
            f"{snooze['coordinator']} is not told of the threshold of {counted(snooze['threshold_day'], 'day')} before"
            f" {snooze['until']}: it is snoozed, and the notice waits.",
            RECIPIENTS,
            {"table": "notice_snoozes", **snooze},
        )
    if not day.coordinators and not day.past:
        goes = (
            "notices go to the organisation's fallback address"
            if day.has_fallback
            else f"{day.organisation} has no fallback address, so notices stay owed until there is either"
        )
        reasons.add(
            f"No coordinator has this mentor: {goes}.",
            RECIPIENTS,
            {"table": "coordinator_assignments", "coordinators": 0, "has_fallback_address": day.has_fallback},
        )
    return reasons.found


def _told(asked: Asked, reasons: _Reasons, row: Mapping[str, Any]) -> None:
    day = asked.day
    reasons.add(
        f"Reminded: the threshold of {counted(row['threshold_day'], 'day')} before {asked.until} was decided that"
        f" day{_by_run(row['run_id'])}, {counted(row['recipients'], 'notice')} owed.",
        REMINDERS,
        _ledger(day, row),
    )
    overtaken = [
        each for each in day.ledger if each["status"] == "superseded" and each["decided_on"] == row["decided_on"]
    ]
    if overtaken:
        reasons.add(
            f"Overtaken by it: {_days([each['threshold_day'] for each in overtaken])} days; recorded as superseded,"
            " never sent.",
            REMINDERS,
            _ledger(day, overtaken[-1]),
        )


def _due(asked: Asked, reasons: _Reasons) -> None:
    day, threshold = asked.day, asked.day.due or 0
    first = "" if asked.on == asked.today else " Nothing is decided ahead: a run before that day may be the one."
    reasons.add(
        f"Will be reminded: {counted(day.days_left or 0, 'day')} left, which the threshold of {threshold} covers, and"
        f" neither it nor a smaller one was told for {asked.until}.{first}",
        REMINDERS,
        _certificate(day),
    )
    held = {row["threshold_day"] for row in day.ledger}
    overtaken = [each for each in asked.thresholds if each > threshold and each not in held]
    if overtaken:
        reasons.add(
            f"Overtaken by it: {_days(overtaken)} days; to be recorded as superseded, never sent.",
            REMINDERS,
            asked.setting,
        )


def _not_reminded(asked: Asked, reasons: _Reasons) -> None:
    day = asked.day
    if not day.remind:
        reasons.add(
            f"Not reminded: {day.organisation} does not let its coordinators be reminded: remind is off.",
            REMINDERS,
            _organisation(day, "remind"),
        )
    elif day.status == "paused":
        reasons.add("Not reminded: nobody is reminded of a paused mentor.", REMINDERS, _event(day))
    elif not day.certified:
        reasons.add("Not reminded: there never was a certification that could end.", REMINDERS, _certificate(day))
    elif day.expired:
        left = "Thresholds that were not told are recorded as superseded: expiry has overtaken them."
        reasons.add(f"Not reminded: the certification ended on {asked.until}. {left}", REMINDERS, _certificate(day))
    elif day.covering is None:
        lasts = f"{counted(day.days_left, 'day')} left" if day.days_left is not None else "days without end"
        reasons.add(
            f"Not reminded: {lasts}, more than the thresholds cover ({_days(asked.thresholds)}).",
            REMINDERS,
            asked.setting,
        )
    else:
        _told_before(asked, reasons, day.covering)


def _told_before(asked: Asked, reasons: _Reasons, covering: int) -> None:
    day = asked.day
    held = [row for row in day.ledger if row["threshold_day"] <= covering]
    if not held:
        reasons.add(
            f"Not reminded: no run decided that day, though the threshold of {counted(covering, 'day')} covered it. The"
            " next run catches up.",
            REMINDERS,
            _certificate(day),
        )
        return
    row = held[-1]
    threshold = counted(row["threshold_day"], "day")
    if row["status"] == "due":
        what = f"already reminded at the threshold of {threshold}, on {row['decided_on']}{_by_run(row['run_id'])}"
    else:
        what = (
            f"the threshold of {threshold} was recorded as superseded on {row['decided_on']}{_by_run(row['run_id'])}:"
            " overtaken, or of a baseline"
        )
    reasons.add(f"Not reminded: {what}. Once for {asked.until} is enough.", REMINDERS, _ledger(day, row))


# The public listing.


def _listing(asked: Asked) -> list[Because]:
    """Say why the mentor is to be listed that day, or is not; what the website said, and what is on its way."""
    day = asked.day
    ours = day.listing != "not ours"
    if ours and (not (day.status_known and day.expiry_known) or day.status is None):
        return _unknown(asked, "listing")
    reasons = _Reasons("listing", answer=day.listing == "listed")
    words = {"listed": "To be listed", "not listed": "Not to be listed", "not ours": "Not ours to list"}[day.listing]
    reason = why(
        day.listing,
        organisation=day.organisation,
        status=day.status,
        pause_reason=day.pause_reason,
        certified=day.certified,
        until=day.certification_expiry,
    )
    row = _organisation(day, "website_sync") if not ours else _certificate(day)
    reasons.add(f"{words}: {reason}.", LISTING, _event(day) if ours and day.status == "paused" else row)
    _acknowledged(asked, reasons, ours=ours)
    if asked.operation is not None and asked.operation.operation_id is not None:
        _operation(asked, reasons, asked.operation)
    return reasons.found


def _acknowledged(asked: Asked, reasons: _Reasons, *, ours: bool) -> None:
    day, website = asked.day, asked.day.website
    if website is None:
        if ours:
            until = " by then" if day.past else " yet"
            reasons.add(
                f"The website has acknowledged nothing about this mentor{until}: whether it shows them is not known.",
                SENDING,
                {"table": "website_listing", "listed": None},
            )
        return
    at = _moment(website["acknowledged_at"], day.time_zone)
    shown = "listed" if website["listed"] else "not listed"
    number = f" (operation {website['operation_id']}{_by_run(website['run_id'])})" if website["operation_id"] else ""
    reasons.add(
        f"The website acknowledged on {at:%Y-%m-%d %H:%M %Z} that they are {shown}{number}; the public site shows"
        f" it {PUBLIC_AFTER.seconds // 60} minutes later at the latest.",
        SENDING,
        {"table": "website_listing", **website},
    )


def _operation(asked: Asked, reasons: _Reasons, state: ListingState) -> None:
    what = {"remove": "which takes them off", "restore": "which lists them"}[state.operation or "remove"]
    row = {"table": "sync_queue", "id": state.operation_id, "status": state.operation_status}
    if state.operation_status == "dead":
        error = f": {state.last_error.rstrip('.')}" if state.last_error else ""
        reasons.add(
            f"Operation {state.operation_id}, {what}, is dead{error}. It waits for a person:"
            f" `certjobs queue retry {state.operation_id} --reason TEXT`.",
            SENDING,
            row,
        )
    elif state.operation_status != "done":
        rule, waiting = SENDING, _waits(state)
        guarded = asked.day.guarded.get("sync")
        if state.operation_status != "processing" and not state.free:
            rule = MASS_CHANGE
            waiting = (
                f"the guard refused it (set {guarded['hash']}) and waits for a person"
                if guarded and not guarded["approved"]
                else "no pause by expiry-check explains it, so the next sync asks the guard first"
            )
        other = asked.on == asked.today and asked.day.listing == LISTS_OTHERWISE[state.operation or "remove"]
        opposite = " By now the rule wants the opposite, and that is what is sent." if other else ""
        reasons.add(f"Operation {state.operation_id}, {what}, is on its way: {waiting}.{opposite}", rule, row)
    elif asked.day.website is not None and asked.day.listing != "not ours":
        _disagreement(asked, reasons)


def _disagreement(asked: Asked, reasons: _Reasons) -> None:
    website = asked.day.website or {}
    if asked.on == asked.today and website["listed"] != (asked.day.listing == "listed"):
        reasons.add(
            "That is not what the rule wants, and nothing is on its way:"
            f" `certjobs force-sync {asked.ref} --reason TEXT` sends it.",
            SENDING,
            {"table": "website_listing", **website},
        )


def _waits(state: ListingState) -> str:
    words = waits(
        status=state.operation_status or "",
        free=bool(state.free),
        under_way=state.under_way,
        unsure_until=state.unsure_until,
        not_before=state.not_before,
        last_error=state.last_error,
        time_zone=state.time_zone,
    )
    return words.rstrip(".")


def _moment(text: str, time_zone: str) -> datetime:
    return local(datetime.fromisoformat(text), time_zone)
