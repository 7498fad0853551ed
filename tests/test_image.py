"""The image is held to the package, to the manifests and to its page; `.ci/image` builds and runs it."""

from __future__ import annotations

import importlib.metadata
import json
import py_compile
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest
import yaml

from certjobs.adapters.notify.wording import WORDINGS
from certjobs.cli.night_wording import NIGHT_WORDINGS
from tests.conftest import ROOT
from tests.test_administration import ended, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import CertjobsProcess, TestDatabase

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "image.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
SLIM = ROOT / ".ci" / "slim.py"
DATES = """
import sys
from datetime import date
from pathlib import Path
from babel import localedata
from babel.dates import format_date
from babel.numbers import format_decimal
localedata._dirname = sys.argv[1]
for language in sys.argv[2:]:
    print(format_date(date(2026, 5, 17), "EEEE d. MMMM y", language), format_decimal(-12345.5, locale=language))
"""
WITHOUT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from certjobs.cli import main
sys.exit(main(sys.argv[2:]))
"""


def last(instruction: str) -> str:
    """Return what the last instruction of a kind says."""
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{instruction} ")][-1]


def extras() -> list[str]:
    """Return the extras that the image has unless somebody says otherwise."""
    (found,) = re.findall(r'^ARG EXTRAS="(.*)"$', DOCKERFILE, re.MULTILINE)
    return str(found).split()


def labels() -> dict[str, str]:
    """Return the image's labels by the last part of their names."""
    return dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', DOCKERFILE))


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping within a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from mappings(each)


def manifests() -> Iterator[dict[str, Any]]:
    """Yield every mapping of every manifest."""
    for path in (ROOT / "k8s").rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield from mappings(document)


def allowed() -> list[str]:
    """Return what .dockerignore lets into the build."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert all(rule.startswith("!") for rule in rules[1:-1])
    assert rules[-1] == "**/__pycache__"
    return [rule.removeprefix("!") for rule in rules[1:-1]]


def test_the_user_is_the_one_of_every_manifest() -> None:
    """The image, every pod that runs it and the page agree on the user and the group."""
    user, group = last("USER").split(":")
    told = {
        (name, str(each[name]))
        for each in manifests()
        for name in ("runAsUser", "runAsGroup", "fsGroup")
        if name in each
    }
    assert told == {("runAsUser", user), ("runAsGroup", group), ("fsGroup", group)}
    assert f"uid {user}" in PAGE


def test_it_starts_certjobs_itself() -> None:
    """The first process is certjobs, with no shell before it, and no manifest starts another."""
    assert json.loads(last("ENTRYPOINT")) == list(PROJECT["scripts"])
    assert not re.search(r"^CMD", DOCKERFILE, re.MULTILINE)
    containers = [each for found in manifests() for each in found.get("containers", ())]
    assert {each["image"] for each in containers} == set(PROJECT["scripts"])
    assert not [each["name"] for each in containers if "command" in each]


def test_it_has_every_extra_but_the_local_one() -> None:
    """An extra is in the image unless it is for work on one's own machine, and the page names those that are."""
    assert set(extras()) == PROJECT["optional-dependencies"].keys() - {"local"}
    assert f"`{' '.join(extras())}`" in PAGE


def test_its_labels_are_the_package_s() -> None:
    """Title, description and licence are the package's, and version and revision come from outside."""
    licence, _, _ = (ROOT / "LICENSE").read_text(encoding="utf-8").partition(" License\n")
    assert labels() == {
        "title": PROJECT["name"],
        "description": PROJECT["description"],
        "licenses": licence,
        "version": "${VERSION}",
        "revision": "${REVISION}",
    }


def test_its_base_has_a_python_that_the_package_runs_on() -> None:
    """The base that is taken unless another is named has the Python that the lock file is made for."""
    (base,) = re.findall(r"^ARG BASE=python:([\d.]+)-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert f"--python-version {base} " in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">={base}"
    assert [line.split()[1] for line in LINES if line.startswith("FROM ")] == ["${BASE}", "${BASE}"]


def test_all_that_is_copied_is_let_in() -> None:
    """The Dockerfile copies nothing that .dockerignore keeps out, and nothing else is let in."""
    copied = [
        source
        for line in LINES
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
        if source != "certjobs/__init__.py"
    ]
    assert sorted(copied) == sorted(allowed())


def test_the_package_builds_from_what_is_let_in(tmp_path: Path) -> None:
    """What .dockerignore lets in is enough for the whole package, migrations too."""
    context, made = tmp_path / "context", tmp_path / "made"
    for each in allowed():
        target = context / each
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / each).is_dir():
            shutil.copytree(ROOT / each, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / each, target)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(made)],
        cwd=context,
        capture_output=True,
        check=True,
    )
    (wheel,) = made.iterdir()
    assert wheel.name.startswith(f"certjobs-{importlib.metadata.version('certjobs')}-")
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name and ".data/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "certjobs", "migrations"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    shutil.rmtree(context)  # what the simulator takes for a secret stands in it
    assert packed == {re.sub(r"^migrations/", "certjobs/_migrations/", name) for name in tracked}


def test_only_our_languages_are_kept(tmp_path: Path) -> None:
    """What is made small keeps the locales of the wordings and their ancestors, no tests, and byte code of the rest."""
    locales, tests = tmp_path / "babel" / "locale-data", tmp_path / "library" / "deep" / "tests"
    for directory in (locales, tests):
        directory.mkdir(parents=True)
    for name in ("root", "no", "nb", "nb_SJ", "nn", "en", "en_GB", "da", "sv"):
        (locales / f"{name}.dat").touch()
    for file in (tests / "test_it.py", tmp_path / "library" / "__init__.py", tmp_path / "library" / "tests.py"):
        file.touch()
    py_compile.compile(str(tmp_path / "library" / "__init__.py"))  # as an import does, which looks at times
    slim = runpy.run_path(str(SLIM))
    slim["slim"](tmp_path)
    assert slim["LANGUAGES"] == sorted(WORDINGS | NIGHT_WORDINGS)
    assert {file.stem for file in locales.iterdir()} == {"root", "no", *WORDINGS, *NIGHT_WORDINGS}
    compiled = {file.name.partition(".")[0]: file.read_bytes()[4] for file in tmp_path.rglob("*.pyc")}
    assert compiled == {"__init__": 0b01, "tests": 0b01}, "by hash, and not checked"
    assert not tests.exists()


def test_what_cannot_be_compiled_is_told(tmp_path: Path) -> None:
    """A file that is no Python ends the build."""
    (tmp_path / "broken.py").write_text("def", encoding="utf-8")
    with pytest.raises(SystemExit):
        runpy.run_path(str(SLIM))["slim"](tmp_path)


def test_our_languages_need_no_other_locale(tmp_path: Path) -> None:
    """Dates and numbers are the same with the locales that are kept as with all of them."""
    from babel import localedata

    slim = runpy.run_path(str(SLIM))
    for name in slim["needed"](slim["LANGUAGES"]):
        shutil.copy(localedata.resolve_locale_filename(name), tmp_path)
    few, all_of_them = (
        subprocess.run(
            [sys.executable, "-c", DATES, str(directory), *slim["LANGUAGES"]],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for directory in (tmp_path, localedata._dirname)
    )
    assert few == all_of_them
    assert "søndag 17. mai 2026" in few


def test_a_part_of_the_lock_file() -> None:
    """The part of the lock file for some packages pins them with hashes, and what is not pinned ends the build."""
    locked = runpy.run_path(str(ROOT / ".ci" / "locked.py"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    part = locked["part"](lock, {"babel", "psycopg-binary"})
    assert re.findall(r"^([\w-]+)==", part, re.MULTILINE) == ["babel", "psycopg-binary"]
    assert set(part.splitlines()) <= set(lock.splitlines())
    assert part.count("--hash=sha256:") > len(part.split("==")[1:])
    with pytest.raises(SystemExit, match=r"does not pin nonesuch; run `make lock`"):
        locked["part"](lock, {"babel", "nonesuch"})


def test_what_is_wanted_is_what_the_package_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extras are those named, and no other; what builds is apart."""
    wanted = runpy.run_path(str(ROOT / ".ci" / "locked.py"))["wanted"]
    monkeypatch.chdir(ROOT)
    optional = PROJECT["optional-dependencies"]
    assert wanted(["alerts"]) == [*PROJECT["dependencies"], *optional["alerts"]]
    assert [re.split(r"\W", each)[0] for each in wanted(["--build"])] == ["hatchling"]
    with pytest.raises(KeyError):
        wanted(["no such extra"])


def test_the_page_says_what_the_trial_holds_it_to() -> None:
    """Budget and slowness stand in the page as in the trial, and secrets lie where the manifests mount them."""
    trial = (ROOT / ".ci" / "image").read_text(encoding="utf-8")
    bars = dict(re.findall(r"^([A-Z]+)=([\d.]+) ", trial, re.MULTILINE))
    assert f"{bars['BUDGET']} million bytes" in PAGE
    assert f"{bars['SLOWER']} times" in PAGE
    mounts = {each["mountPath"] for each in manifests() if "mountPath" in each}
    assert all(f"{mount}:" in PAGE or f"`{mount}`" in PAGE for mount in mounts)


@pytest.mark.parametrize("arguments", [["demo"], ["simulator"], ["status", "--local"]])
def test_what_the_image_does_not_have_says_so(arguments: list[str], tmp_path: Path) -> None:
    """Without the extra for local work, what needs it names it and exits 78."""
    names = [re.split(r"[^\w-]", each)[0] for each in PROJECT["optional-dependencies"]["local"]]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(names).replace("-", "_"), *arguments],
        env={"CERTJOBS_LOCAL_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr.endswith(" is not installed.\n          Install it with `pip install 'certjobs[local]'`.\n")


def test_sigterm_ends_what_is_no_run(certjobs_process: CertjobsProcess, database: TestDatabase) -> None:
    """SIGTERM ends a command that is no run with 143, as a first process too, and its session ends with it."""
    with database.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE peer_mentors")
        process = certjobs_process.start("mentors", "list")
        waiting(database, 1)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (143, "certjobs: Terminated. What it had committed stays.\n")
        ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert database.one(f"{ours} AND wait_event_type = 'Lock'") == 0
