"""Writes certjobs(1): ``make man``. What the page says comes from the program, so that it cannot say anything else.

Commands, options and examples are those of the help texts, exit statuses those of ``certjobs.errors``, settings those
of ``certjobs.config``. The date in its head is the day on which something in it last changed.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main

from certjobs import __version__
from certjobs.cli.app import whole
from certjobs.config import PREFIX, Settings
from certjobs.errors import EXITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

PAGE = Path(__file__).parents[1] / "docs" / "man" / "certjobs.1"
SHARED_BY = 8  # an option that so many commands have is described once
WIDTH = 66  # of an example: what an indented line of 80 columns holds
SPOKEN = re.compile(r"`([^`]+)`|(--[a-z][a-z-]*|\bCERTJOBS_[A-Z_]+(?:=\w+)?)")
LIMITS = {
    "required": "",
    r"default: (.+)": "Default: {}.",
    r"(-?[\d.]+)<=x<=([\d.]+)": "From {} to {}.",
    r"x>=(.+)": "At least {}.",
}

ABOUT = """\
A scheduler starts `certjobs nightly` once a night. It pauses the peer mentors whose certification has expired, warns \
their coordinators, carries what changed to the public website, and proves that website and database agree. It can be \
started twice, killed at any moment, or miss a week: nothing is lost and nothing happens twice. Its exit status and a \
row in the table `scheduler_run_log` tell how it went.

The other commands are for people: to look at things, to try out, to mend. Those that change the roster or what the \
jobs may do have --dry-run, and nearly all have --json for programs. `certjobs doctor` says what is wrong with an \
installation."""

SETTINGS = """\
Everything is set by the environment. Instead of a variable `CERTJOBS_NAME` there may be a variable \
`CERTJOBS_NAME_FILE` that names a file with the value in it; both at once are an error. CERTJOBS_SECRETS_DIR names a \
directory with a file for each setting, called as the setting is, in lower case and without `CERTJOBS_`. Variables \
count before files, and files that a variable names before those of the directory. Without CERTJOBS_DATABASE_URL and \
without --local, a command that needs a database ends with 78."""

FILES = {
    "~/.local/share/certjobs/": "The embedded PostgreSQL of --local, where CERTJOBS_LOCAL_DIR names no other place; in "
    "`$XDG_DATA_HOME` where that is set.",
    "/etc/certjobs/secrets/": "By custom, what CERTJOBS_SECRETS_DIR names: a file for each secret, readable by its "
    "owner alone.",
}

SEE_ALSO = ("crontab(5)", "psql(1)", "systemd.exec(5)", "systemd.timer(5)")
DOCUMENTS = """\
The sources hold README.md, which tells the rules, and in docs/ install.md (systemd and cron), kubernetes.md, \
image.md, access.md (who may do what), runbook.md (what to do when it goes wrong), privacy.md and coordinators.md."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as the page tells it: its name, what follows it, its help text and what it takes."""

    name: str
    text: str
    usage: tuple[str, ...]
    arguments: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, str], ...]
    exits: tuple[str, ...]


def page(day: date) -> str:
    """Return the page, with that day in its head."""
    commands = list(_commands())
    counts = Counter(option for command in commands for option in command.options)
    shared = [option for option, count in counts.items() if count >= SHARED_BY]
    root = typer.main.get_command(whole())
    lines = [
        '.\\" Written by `make man`; what it says is changed in the program.',
        f'.TH CERTJOBS 1 {day} "certjobs {__version__}" "User Commands"',
        ".nh",
        ".nr HY 0",  # or the macros of groff would begin to hyphenate again with the first heading
        ".ad l",
        ".ss 12 0",  # one blank after a sentence, wherever its line ends
        ".SH NAME",
        *_wrapped(f"certjobs \\- {_escaped(_inside_a_sentence(root.help or ''))}"),
        ".SH SYNOPSIS",
        ".B certjobs",
        "\\fICOMMAND\\fR [\\fIARGUMENT\\fR]... [\\fIOPTION\\fR]...",
        ".br",
        ".B certjobs",
        "[\\fICOMMAND\\fR] \\fB\\-\\-help\\fR",
        ".br",
        ".B certjobs \\-\\-version",
        ".SH DESCRIPTION",
        *_paragraphs(ABOUT),
        ".SH OPTIONS",
        *_filled("Several commands have these; each says which. What only one or a few have stands with them."),
        *_defined([("-h, --help", "Show the command's help and exit."), *sorted(shared)], _option),
        ".SH COMMANDS",
    ]
    for command in commands:
        lines += _told(command, shared)
    lines += [
        ".SH EXIT STATUS",
        *_filled("Of several outcomes the worst counts. Each command says which it may end with."),
        *_defined([(str(int(code)), _meant(*line)) for code, line in EXITS.items()], _bold),
        ".SH ENVIRONMENT",
        *_paragraphs(SETTINGS),
        *_defined(list(_settings()), _bold),
        ".SH FILES",
        *_defined(list(FILES.items()), lambda path: f"\\fI{_escaped(path)}\\fR"),
        ".SH EXAMPLES",
        *_defined((re.split("  +", line) for line in _kept(root.epilog or "", "Examples:")), _bold),
        ".SH SEE ALSO",
        *_see_also(),
        ".PP",
        *_filled(DOCUMENTS),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page where it is not what it should be already."""
    if not PAGE.exists() or page(dated()) != PAGE.read_text(encoding="utf-8"):
        PAGE.write_text(page(datetime.now(UTC).date()), encoding="utf-8")


def dated() -> date:
    """Return the day that stands in the page's head."""
    found = re.search(r"^\.TH \S+ \S+ (\S+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return date.fromisoformat(found[1]) if found else date.min


def _commands() -> Iterator[Command]:
    """Give every command, a group's own first."""

    def walk(command: Any, name: str) -> Iterator[Command]:
        children = getattr(command, "commands", {})
        if not children or command.invoke_without_command:
            yield _command(command, name)
        for child, each in children.items():
            yield from walk(each, f"{name} {child}")

    return walk(typer.main.get_command(whole()), "certjobs")


def _command(command: Any, name: str) -> Command:
    context = command.context_class(command, info_name=name)
    found: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    usage = []
    for each in command.params:
        told, text = each.get_help_record(context)
        text, _, rest = text.partition("  [")
        rules = [rule for rule in rest.removesuffix("]").split("; ") if rule]
        told = re.sub(r"<(int|float) range>", "N", told)
        told = re.sub(r"<(.*)>", r"\1", told)
        found[each.param_type_name].append((told, " ".join([text, *filter(None, map(_limit, rules))])))
        if each.param_type_name == "argument" or each.required:
            usage.append(told)
    epilog = _kept(command.epilog, "Exit status:")
    return Command(
        name=name,
        text=command.help,
        usage=tuple(sorted(usage, key=lambda told: told.startswith("-"))),
        arguments=tuple(found["argument"]),
        options=tuple(found["option"]),
        exits=tuple(line.split()[0] for line in epilog),
    )


def _limit(rule: str) -> str:
    """Return what help says in brackets as a sentence."""
    for pattern, sentence in LIMITS.items():
        if found := re.fullmatch(pattern, rule):
            return sentence.format(*found.groups())
    msg = f"the page has no words for {rule!r}"
    raise ValueError(msg)


def _told(command: Command, shared: list[tuple[str, str]]) -> list[str]:
    """Return the part of the page on one command."""
    text, _, _ = command.text.partition("\b\n")
    own = [each for each in command.options if each not in shared]
    also = [each for each in command.options if each in shared]
    examples = _kept(command.text, "Examples:") or _kept(command.text, "Example:")
    usage = " ".join(
        [_bold(command.name), *(_option(each).replace(" ", "\\~") for each in command.usage), "[\\fIOPTION\\fR]..."]
    )
    lines = [
        f".SS {_escaped(command.name.removeprefix('certjobs '))}",
        *_wrapped(usage),
        *_paragraphs(text, first=".PP"),
    ]
    lines += _defined([*command.arguments, *own], _option)
    if also:
        names = ", ".join(_bold(name.split()[0]) for name, _ in also)
        lines += [".PP", *_wrapped(f"{'Also' if own else 'Options'}: {names}.")]
    lines += [".PP", *_wrapped(f"Exit status: {', '.join(command.exits)}."), *_examples(examples)]
    return lines


def _kept(text: str, heading: str) -> list[str]:
    """Return the lines below a heading of a help text that stand as they are."""
    found = re.search(rf"\x08\n{heading}\n((?:  .*(?:\n|$))+)", text)
    return textwrap.dedent(found[1]).rstrip().split("\n") if found else []


def _meant(status: str, meaning: str, who_acts: str, retry_helps: bool) -> str:
    said = f"{meaning[:1].upper()}{meaning[1:]} ({status})."
    if who_acts != "nobody":
        said += f" Who acts: {who_acts}."
    return said + (" The same again may end better." if retry_helps else "")


def _settings() -> Iterator[tuple[str, str]]:
    for name, field in Settings.model_fields.items():
        told = field.description or ""
        if not field.default_factory and field.default is not None:
            told += f" Default: `{field.default}`."
        yield f"{PREFIX}{name.upper()}", told


def _inside_a_sentence(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def _paragraphs(text: str, first: str | None = None) -> list[str]:
    lines = []
    for number, paragraph in enumerate(filter(str.strip, text.split("\n\n"))):
        if number or first:
            lines.append(".PP")
        lines += _filled(paragraph)
    return lines


def _see_also() -> list[str]:
    pages = [re.sub(r"(.+)(\(\d\))", r".BR \1 \2", each) for each in SEE_ALSO]
    return [*(f"{each} ," for each in pages[:-1]), pages[-1]]


def _defined(pairs: Iterable[Sequence[str]], tag: Callable[[str], str]) -> list[str]:
    lines = []
    for name, text in pairs:
        lines += [".TP", tag(name), *_filled(text)]
    return lines


def _examples(lines: list[str]) -> list[str]:
    if not lines:
        return []
    shown = [_escaped(part, code=True) for line in lines for part in _continued(line)]
    return [".PP", ".RS 4", ".EX", *shown, ".EE", ".RE"]


def _continued(line: str) -> Iterator[str]:
    """Give a line of an example in parts that a terminal of 80 columns holds, joined as a shell joins them."""
    while len(line) > WIDTH:
        ends = [
            found.start()
            for found in re.finditer(r" (?=-)", line[:WIDTH])
            if line.count('"', 0, found.start()) % 2 == 0
        ]
        if not ends or not line[: ends[-1]].strip():
            break
        yield f"{line[: ends[-1]]} \\"
        line = f"    {line[ends[-1] :].lstrip()}"
    yield line


def _filled(text: str) -> list[str]:
    """Return prose as lines of the page's source."""
    spoken = []
    at = 0
    for found in SPOKEN.finditer(text):
        spoken += [_escaped(text[at : found.start()]), _bold(found[1] or found[2])]
        at = found.end()
    return _wrapped("".join([*spoken, _escaped(text[at:])]))


def _wrapped(source: str) -> list[str]:
    lines = textwrap.wrap(" ".join(source.split()), 78, break_long_words=False, break_on_hyphens=False)
    return [f"\\&{line}" if line[0] in ".'" else line for line in lines]


def _bold(text: str) -> str:
    return f"\\fB{_escaped(text, code=True)}\\fR"


def _option(told: str) -> str:
    """Return an option or argument with its names in bold and what it takes in italics."""
    return re.sub(
        r"(-[-\w]*)|([A-Za-z][\w.|]*)",
        lambda found: _bold(found[1]) if found[1] else f"\\fI{_escaped(found[2], code=True)}\\fR",
        told,
    )


def _escaped(text: str, *, code: bool = False) -> str:
    """Return text that roff shows as it is. In code, in commands' names and beside digits a hyphen can be copied."""
    hyphens = "-" if code else _copied()
    text = re.sub(hyphens, lambda found: found[0].replace("-", "\\-"), text.replace("\\", "\\e"))
    for character, name in (("'", "aq"), ("`", "ga"), ("^", "ha"), ("~", "ti")):
        text = text.replace(character, f"\\({name}")
    return "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in text)


@cache
def _copied() -> str:
    """Return what to look for in prose where a hyphen is one of a command, an option or a number."""
    words = {word for command in _commands() for word in command.name.split() if "-" in word}
    return "|".join([*sorted(words), r"(?<![a-z])-|-(?![a-z])"])


if __name__ == "__main__":
    main()
