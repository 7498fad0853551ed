"""The secrets that tests give the program, and the search that finds them wherever they should not be.

Every secret of a test is a canary: it holds a mark that stands nowhere else, and says of which kind it is. So one
search finds them all, whatever test they are of. ``tests/leaks.py`` looks with it at what the tests' run produces, and
refuses a secret that is none.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from certjobs.local.simulator.server import SECRET as SIMULATORS_OWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Kind = Literal[
    "alert", "apprise", "assertion", "certificate", "claim", "client", "database", "notify", "ping", "proxy", "signing",
    "smtp", "token",
]  # fmt: skip

MARK = "geheim"  # a word of another language than the program, its people and its tests speak
_PRIVATE_KEY = "PRIVATE KEY-----"  # as every key in a file of the kind PEM begins and ends
_SHOWN = 60  # characters before a secret that are repeated, so that somebody finds where it came from
_FILE = "CANARIES_FOUND"  # in the environment: where a process of the tests writes down what it found

# What is not refused as a setting although it holds no mark: it could be nobody's secret.
HARMLESS = frozenset(
    {"whsec_", "whsec_short", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}  # the last is the published example
)


def canary(kind: Kind, rest: str = "") -> str:
    """Return a secret of a kind, different from others of that kind by its rest. Both of its ends can be recognised."""
    return f"{MARK}-{kind}-{rest}-{MARK}" if rest else f"{MARK}-{kind}-"


def signing_secret(rest: str = "that is long enough") -> str:
    """Return a secret with which webhooks are signed."""
    return "whsec_" + base64.b64encode(canary("signing", rest).encode()).decode()


def _in_base64(mark: bytes) -> Iterator[str]:
    """Yield what of a mark stands in base64 for certain, whatever stands before and after it."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + mark).decode()
        yield text[-(-before * 8 // 6) : (before + len(mark)) * 8 // 6]


def _forms(mark: str) -> Iterator[str]:
    """Yield every form in which a mark is recognised."""
    yield from (mark, mark.upper(), mark.capitalize(), mark.encode().hex(), mark.encode().hex().upper())
    yield from _in_base64(mark.encode())


_MARKS = (*_forms(MARK), *_forms(SIMULATORS_OWN), _PRIVATE_KEY)
_MARKS_IN_BYTES = tuple(each.encode() for each in _MARKS)
_KNOWN = {MARK: "unnamed", SIMULATORS_OWN: "client", _PRIVATE_KEY: "private key"}
_ANY = re.compile(
    rf"{MARK}-(?P<kind>[a-z]+)-(?:[^\s\"'\\]{{0,80}}?-{MARK})?|" + "|".join(re.escape(each) for each in _MARKS)
)
PATTERN = "|".join(_MARKS)  # for PostgreSQL: no mark has a character that means something there


def is_canary(text: str) -> bool:
    """Tell whether a text holds a mark."""
    return any(each in text for each in _MARKS)


def hits(text: str | bytes) -> Iterator[tuple[str, str]]:
    """Yield the kind of every secret in a text, and what stands before it."""
    if isinstance(text, bytes):
        if not any(each in text for each in _MARKS_IN_BYTES):
            return
        text = text.decode("utf-8", errors="replace")
    elif not is_canary(text):
        return
    for hit in _ANY.finditer(text):
        yield hit["kind"] or _KNOWN.get(hit[0], "encoded"), text[: hit.start()]


def look(where: str, text: str | bytes, *, belongs: Callable[[str, str], bool] | None = None) -> bool:
    """Write down every secret of a text, unless it ``belongs`` there, of its kind and after what stands before it.

    Tell whether there was any.
    """
    seen = set()
    for kind, before in hits(text):
        if kind not in seen and not (belongs and belongs(kind, before)):
            seen.add(kind)
            note(f"a secret of the kind {kind} is in {where}, after {_ANY.sub('...', before)[-_SHOWN:]!r}")
    return bool(seen)


# What was found. A file, so that forked processes and programs of the tests can add to it.

_stored: set[Path] = set()


def begin() -> None:
    """Let this process of the tests and those it starts write into a file of their own."""
    descriptor, name = tempfile.mkstemp(prefix="certjobs-found-")
    os.close(descriptor)
    os.environ[_FILE] = name


def end() -> None:
    """Remove that file."""
    Path(os.environ.pop(_FILE)).unlink(missing_ok=True)


def note(finding: str) -> None:
    """Write down that something is not as it should be."""
    with Path(os.environ[_FILE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(_ANY.sub("...", finding)) + "\n")


def taken() -> list[str]:
    """Return what was written down since this was asked last, each once."""
    path = Path(os.environ[_FILE])
    if not path.stat().st_size:
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    os.truncate(path, 0)
    return [json.loads(line) for line in dict.fromkeys(lines)]


# Files in which a secret is meant to be.


def store(path: Path, text: str) -> Path:
    """Write a secret to a file in which the test wants it to be, and return the file."""
    path.write_text(text, encoding="utf-8")
    return stored(path)


def stored(path: Path) -> Path:
    """Say that a test has written a secret to this file itself."""
    _stored.add(path.absolute())
    return path


def forget_stored() -> None:
    """Forget in which files a secret was stored, as the test that did so has ended."""
    _stored.clear()


def look_at_files(directory: Path) -> None:
    """Look at every name below a directory, and at every file but for those in which a test stored a secret."""
    for path in directory.rglob("*"):
        look("the name of a file", str(path.relative_to(directory)))
        if path.is_file() and not path.is_symlink() and path.absolute() not in _stored:
            with suppress(FileNotFoundError):  # a server may be at work there
                look(f"the file {path.relative_to(directory)}", path.read_bytes())
