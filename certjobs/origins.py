"""Where each setting comes from, and which are wrong, for a person who looks for a fault: no secret is ever shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from certjobs.config import PREFIX, Settings
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEFAULT, ENVIRONMENT, MOUNTED = "default", "environment", f"file in {PREFIX}SECRETS_DIR"
LIKE = 0.6  # how like a real name an unknown one must be for us to name it

# Of an address only what leads to the service. What cannot be taken apart for sure is not shown at all: a password with
# a slash or a hash in it would pass for a place.
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^@/?#\s]*@)?(?P<host>[\w.,%-]*|\[[0-9a-fA-F:.]+\])(?P<port>:\d+)?"
    r"(?P<path>/[^@?#\s]*)?(?:\?(?P<query>[^@#\s]*))?"
)
_ADDRESSES = frozenset({"dataverse_url", "dataverse_authority", "public_site_url"})
_DATABASES = frozenset({"database_url", "lock_database_url"})
_PEOPLE = frozenset({"mail_from", "mail_reply_to", "redirect_all_to", "smtp_username"})
_LISTS = frozenset({"thresholds", "quiet_hours", "send_days"})
_LIST = re.compile(r"(?:\d{1,4}|mon|tue|wed|thu|fri|sat|sun|[\s,:-])*", re.IGNORECASE)
_NEVER_SHOWN = frozenset({"actor"})  # it may be somebody's name


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting that counts: its variable, where it comes from, and its value as it may be shown."""

    variable: str
    origin: str
    shown: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A setting that cannot be used, and why; ``variable`` is None where nobody can tell which one it is."""

    variable: str | None
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that is no setting, where it stands, and the setting that it may be meant for."""

    name: str
    origin: str
    nearest: str | None


@dataclass(frozen=True, slots=True)
class Origins:
    """Every setting, the wrong ones, and names that are none.

    ``mended``: what ``config.load`` is given to read the others: the default of each wrong setting, and what is in the
    secrets directory where a file there cannot be read.
    """

    settings: Sequence[Origin]
    wrong: Sequence[Wrong]
    unknown: Sequence[Unknown]
    mended: Mapping[str, Any]

    def spoilt(self, *prefixes: str) -> str | None:
        """Return the first wrong setting whose name begins like this."""
        begins = tuple(f"{PREFIX}{each.upper()}" for each in prefixes)
        return next((each.variable for each in self.wrong if each.variable and each.variable.startswith(begins)), None)


def origins() -> Origins:
    """Read every setting, and say where it comes from. Raises ConfigurationError where not even that is possible."""
    wrong = list(_unreadable())
    mended = {_field(each.variable): _default(_field(each.variable)) for each in wrong if each.variable}
    settings, given = None, dict[str, Any]()
    while settings is None:
        try:
            settings = Settings(**{**given, **mended})
        except ValidationError as exc:
            found = [_wrong(error) for error in exc.errors(include_input=False, include_url=False)]
            fresh = [each for each in found if each.variable and _field(each.variable) not in mended]
            if not fresh:
                msg = "The configuration cannot be read."
                raise ConfigurationError(msg, hint="Correct the settings; the README lists them all.") from None
            wrong += fresh
            mended |= {_field(each.variable): _default(_field(each.variable)) for each in fresh if each.variable}
        except (OSError, ValueError):  # of one file in the secrets directory, which is read as a whole
            if given:
                raise
            given = _mounted_otherwise(mended)
    return Origins(
        settings=[
            Origin(variable, _origin(name), shown(name, _value(settings, name)))
            for name, variable in _VARIABLES.items()
            if name not in mended
        ],
        wrong=wrong,
        unknown=[*_unknown_variables(), *_unknown_files()],
        mended={**given, **mended},
    )


_VARIABLES = {name: f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def _field(variable: str | None) -> str:
    return (variable or "").removeprefix(PREFIX).lower()


def _default(name: str) -> Any:
    return Settings.model_fields[name].get_default(call_default_factory=True)


def _wrong(error: Any) -> Wrong:
    name = "_".join(str(part) for part in error["loc"][:1]).lower()
    return Wrong(
        _VARIABLES.get(name),
        f"{error['msg']}",
        f"Correct it: it is from the {_origin(name)}; the README says what fits.",
    )


def _unreadable() -> Iterator[Wrong]:
    """Yield the settings whose files cannot be read, or that are given twice."""
    directory = _secrets_directory()
    if directory is not None and not os.access(directory, os.R_OK | os.X_OK):
        yield Wrong(f"{PREFIX}SECRETS_DIR", "it does not name a directory that we may read", "Check the mount.")
    for name, variable in _VARIABLES.items():
        path = os.environ.get(f"{variable}_FILE")
        if path and os.environ.get(variable):
            yield Wrong(variable, f"{variable} and {variable}_FILE are both set", "Unset one of the two.")
        elif path and (kind := _fails(Path(path))):
            hint = "Check its path and permissions."
            yield Wrong(variable, f"the file that {variable}_FILE names cannot be read ({kind})", hint)
        elif directory is not None and (kind := _fails(_mounted(directory).get(name))):
            hint = "Check its permissions."
            yield Wrong(variable, f"its file in {PREFIX}SECRETS_DIR cannot be read ({kind})", hint)


def _fails(path: Path | None) -> str | None:
    """Return what kind of error keeps us from a file, if one does."""
    if path is None:
        return None
    try:
        path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        return type(exc).__name__
    return None


def _secrets_directory() -> Path | None:
    named = os.environ.get(f"{PREFIX}SECRETS_DIR")
    return Path(named) if named else None


def _mounted(directory: Path) -> dict[str, Path]:
    """Return the files of the secrets directory by their names in lower case."""
    try:
        return {each.name.lower(): each for each in sorted(directory.iterdir()) if each.is_file()}
    except OSError:
        return {}


def _mounted_otherwise(mended: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the files of the secrets directory give that can be read, and that the directory is to be left."""
    directory = _secrets_directory()
    files = _mounted(directory) if directory is not None else {}
    counts = {
        name: files[name].read_text(encoding="utf-8").strip()
        for name in files
        if name in _VARIABLES and name not in mended and _origin(name) == MOUNTED
    }
    return {**counts, "secrets_dir": None}


def _value(settings: Settings, name: str) -> Any:
    return _secrets_directory() if name == "secrets_dir" else getattr(settings, name)


def _origin(name: str) -> str:
    """Return where a setting comes from, in the order in which the sources count."""
    variable = _VARIABLES.get(name, "")
    if any(value and each.upper() == variable for each, value in os.environ.items()):
        return ENVIRONMENT
    if os.environ.get(f"{variable}_FILE"):
        return f"file of {variable}_FILE"
    directory = _secrets_directory()
    if directory is not None and name in _mounted(directory):
        return MOUNTED
    return DEFAULT


def _unknown_variables() -> Iterator[Unknown]:
    """Yield variables that begin like ours and are none: most likely misspelt."""
    known = {*_VARIABLES.values(), *(f"{each}_FILE" for each in _VARIABLES.values())}
    for each in sorted(os.environ):
        if each.upper().startswith(PREFIX) and each.upper() not in known:
            parts = [name.removeprefix(PREFIX) for name in known]
            nearest = get_close_matches(each.upper().removeprefix(PREFIX), parts, n=1, cutoff=LIKE)
            yield Unknown(each, ENVIRONMENT, f"{PREFIX}{nearest[0]}" if nearest else None)


def _unknown_files() -> Iterator[Unknown]:
    """Yield files of the secrets directory that are called almost like a setting; others may be for other programs."""
    directory = _secrets_directory()
    for each in sorted(_mounted(directory)) if directory is not None else ():
        nearest = get_close_matches(each.removeprefix(PREFIX.lower()).replace("-", "_"), _VARIABLES, n=1, cutoff=0.85)
        if each not in _VARIABLES and nearest:
            yield Unknown(each, MOUNTED, nearest[0])


def shown(name: str, value: Any) -> str:
    """Return a setting's value as it may be shown: no secret, no password in an address, nobody's name."""
    if value is None:
        return "(not set)"
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if name in _DATABASES:
        return database_shown(text)
    if isinstance(value, SecretStr) or name in _NEVER_SHOWN:
        # The path of a webhook's address is its password.
        place = _address(text, path=False) if name.endswith("_webhook_url") else None
        return f"{place}/ {_redacted(text)}" if place else _redacted(text)
    if name in _ADDRESSES:
        return " ".join(_address(each, path=True) or _redacted(each) for each in re.split(r"[\s,]+", text.strip()))
    if name in _LISTS and not _LIST.fullmatch(text):
        return _redacted(text)  # it means nothing, and may be a secret in the wrong file
    return f"(an address at {text.rpartition('@')[2].rstrip('>')})" if name in _PEOPLE and "@" in text else text


def _redacted(text: str) -> str:
    return f"(set, {len(text)} {'character' if len(text) == 1 else 'characters'})"


def _address(text: str, *, path: bool) -> str | None:
    """Return an address without user, password and query; None where it cannot be taken apart for sure."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not found["host"]:
        return None
    return f"{found['scheme']}://{found['host']}{found['port'] or ''}{(found['path'] or '') if path else ''}"


def database_shown(text: str) -> str:
    """Return a database's address without user and password."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return _redacted(text)
    query = dict(part.partition("=")[::2] for part in (found["query"] or "").split("&"))
    more = {"host": query.get("host", "") if not found["host"] else "", "sslmode": query.get("sslmode", "")}
    said = ", ".join(f"{name}={value}" for name, value in more.items() if re.fullmatch(r"[\w./%-]+", value))
    place = f"postgresql://{found['host']}{found['port'] or ''}{found['path'] or ''}"
    return f"{place} ({said})" if said else place
