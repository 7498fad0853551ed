"""Make the installation that runs this small and quick: no language but ours, no libraries' tests, all of it compiled.

Byte code is used without a look at the times of its source: in an image no file changes, and who builds or copies
images may set other times. What was written before, for whatever was imported so far, does look, so it is made anew.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import sys
import sysconfig
from datetime import date
from pathlib import Path

from babel.core import get_global
from babel.dates import format_date
from babel.numbers import format_decimal

from certjobs.adapters.notify.wording import WORDINGS
from certjobs.cli.night_wording import NIGHT_WORDINGS

LANGUAGES = sorted(WORDINGS.keys() | NIGHT_WORDINGS.keys())
ROOT = "root"


def needed(languages: list[str]) -> set[str]:
    """Return the locales that these languages are made of: each inherits what it does not say itself."""
    found = {ROOT}
    rest = list(languages)
    while rest:
        name = rest.pop()
        if name not in found:
            found.add(name)
            rest.append(get_global("parent_exceptions").get(name) or name.rpartition("_")[0] or ROOT)
    return found


def slim(packages: Path) -> None:
    """Remove from a directory of packages what certjobs never reads, and compile the rest."""
    keep = needed(LANGUAGES)
    for file in (packages / "babel" / "locale-data").glob("*.dat"):
        if file.stem not in keep:
            file.unlink()
    for directory in list(packages.glob("*/**/tests")):
        if directory.is_dir():  # and not gone with one around it
            shutil.rmtree(directory)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(packages, force=True, quiet=1, workers=0, invalidation_mode=unchecked):
        sys.exit("Not everything could be compiled.")


def look() -> None:
    """Write a date and a number in each language; what is missing for it raises."""
    for language in LANGUAGES:
        format_date(date.min, "EEEE d. MMMM y", language)
        format_decimal(1.5, locale=language)


if __name__ == "__main__":
    slim(Path(sysconfig.get_path("purelib")))
    look()
