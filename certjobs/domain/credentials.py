"""Credentials for the portal that a person gives by hand, and how they are written down."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from certjobs.errors import InputRejected

LONGEST = 64 * 1024  # bytes of a file of credentials
TEMPLATE = """\
# Credentials for `certjobs sync --credentials FILE`, a setting a line. Only client_secret has to be given; what is
# left out is taken from the stored settings. Nobody else may be able to read this file (chmod 600), and it is to be
# deleted once the website is right again. The client secret alone, on one line, is such a file too.

client_secret =
#client_id = 00000000-0000-0000-0000-000000000000
#tenant = 00000000-0000-0000-0000-000000000000
#url = https://organisation.example.org
#authority = https://login.microsoftonline.com
"""
_HINT = "Write one as `certjobs sync --credentials-template` shows."


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client secret, and what else differs from the stored settings. It is kept in memory only, and never printed."""

    client_secret: str = field(repr=False)
    client_id: str | None = None
    tenant: str | None = None
    url: str | None = None
    authority: str | None = None


NAMES = tuple(each.name for each in fields(Credentials))


def of_secret(typed: str) -> Credentials:
    """Return the credentials that a typed client secret stands for. Raises InputRejected where it can be none."""
    if not typed.strip():
        msg = "No client secret was typed."
        raise InputRejected(msg, hint="Run it again; what is typed or pasted there is not shown.")
    return Credentials(_checked(typed.strip(), 1))


def parse(text: str) -> Credentials:
    """Return the credentials that a text holds: settings a line as in the template, or the client secret alone.

    Raises InputRejected, which repeats nothing of the text, for a line that is no setting, a setting that is unknown or
    stands there twice, and where there is no client secret.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if len(lines) == 1 and _name(lines[0][1]) not in NAMES:
        return Credentials(_checked(lines[0][1], lines[0][0]))
    found: dict[str, str] = {}
    for number, line in lines:
        name, value = _name(line), line.partition("=")[2].strip()
        if name not in NAMES or "=" not in line:
            msg = f"Line {number} of the credentials is none of {', '.join(NAMES)}."
            raise InputRejected(msg, hint=_HINT)
        if name in found:
            msg = f"Line {number} of the credentials gives {name} once more."
            raise InputRejected(msg, hint=_HINT)
        if value:
            found[name] = _checked(value, number)
    if "client_secret" not in found:
        msg = "The credentials hold no client_secret."
        raise InputRejected(msg, hint=_HINT)
    return Credentials(**found)


def _name(line: str) -> str:
    return line.partition("=")[0].strip().lower()


def _checked(value: str, number: int) -> str:
    if value.isprintable() and value.isascii() and " " not in value:
        return value
    msg = f"Line {number} of the credentials holds a character that none of them can hold."
    raise InputRejected(msg, hint="Copy it again, without blanks and line breaks inside.")
