"""Print the part of requirements.lock that certjobs with the extras named needs to run, or with --build to be built.

The lock file holds all that a developer needs as well. pip says which of it is needed here, at the locked versions;
what is printed is to be installed with --no-deps and --require-hashes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path


def wanted(extras: list[str]) -> list[str]:
    """Return what pyproject.toml asks for; an extra that it does not have is a KeyError."""
    told = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    if extras == ["--build"]:
        return list(told["build-system"]["requires"])
    optional = told["project"]["optional-dependencies"]
    return [*told["project"]["dependencies"], *(each for extra in extras for each in optional[extra])]


def closure(requirements: list[str], lock: str) -> set[str]:
    """Return the names of what pip would install for these, at the versions of the lock file."""
    versions = re.sub(r" \\\n|^ +--hash=.*\n", "\n", lock, flags=re.MULTILINE)  # pip takes no hashes as constraints
    dry = ["install", "--dry-run", "--quiet", "--ignore-installed", "--only-binary", ":all:", "--report", "-"]
    done = subprocess.run(  # noqa: S603 - pip, and what pyproject.toml says
        [sys.executable, "-m", "pip", *dry, "--constraint", "/dev/stdin", *requirements],
        input=versions.encode(),
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        sys.exit(done.returncode)  # pip has said why
    return {normal(each["metadata"]["name"]) for each in json.loads(done.stdout)["install"]}


def normal(name: str) -> str:
    """Return a package's name as the lock file writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def part(lock: str, names: set[str]) -> str:
    """Return the lines of the lock file that pin these packages; one that it does not pin ends this."""
    entries = {normal(re.split(r"[=\[\s]", each)[0]): each for each in re.split(r"^(?=\w)", lock, flags=re.MULTILINE)}
    if missing := names - entries.keys():
        sys.exit(f"requirements.lock does not pin {', '.join(sorted(missing))}; run `make lock`.")
    return "".join(entries[name] for name in sorted(names))


if __name__ == "__main__":
    locked = Path("requirements.lock").read_text(encoding="utf-8")
    sys.stdout.write(part(locked, closure(wanted(sys.argv[1:]), locked)))
