"""The README is held to the code: every command, setting, exit code and table, both ways."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from certjobs import __version__
from certjobs.cli.app import whole
from certjobs.config import PREFIX, Settings
from certjobs.db.tables import metadata
from certjobs.errors import EXITS
from tests.conftest import ROOT, Certjobs, TestDatabase

README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading of the README, without its head."""
    section = README.split(f"\n{heading}\n", 1)[1]
    table = re.search(r"((?:^\|.*\n)+)", section, re.MULTILINE)
    assert table, heading
    lines = table[1].strip().split("\n")[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def commands() -> dict[str, Any]:
    """Return every command of the program by its full name."""
    found: dict[str, Any] = {}

    def walk(command: Any, name: str) -> None:
        children = getattr(command, "commands", None)
        if children is None or getattr(command, "invoke_without_command", False):
            found[name] = command
        for child, each in (children or {}).items():
            walk(each, f"{name} {child}")

    walk(typer.main.get_command(whole()), "certjobs")
    return found


def test_every_command_stands_in_the_readme_and_the_other_way_round() -> None:
    """The README's table of commands names exactly the commands that exist."""
    told = {" ".join(re.sub(r"[A-Z_]{3,}\S*", "", cells[0].strip("`")).split()) for cells in rows_of("## Using it")}
    assert told == set(commands())


def test_every_help_text_ends_in_its_exit_statuses() -> None:
    """Each command's help ends with the exit statuses it may return."""
    for name, command in commands().items():
        assert command.epilog, name
        last_section = command.epilog.split("\b\n")[-1]
        assert last_section.startswith("Exit status:\n    0  "), name


def test_every_setting_stands_in_the_readme_with_its_default_and_meaning() -> None:
    """The README's table of settings says what the settings class says, in its order."""
    told = [tuple(cells) for cells in rows_of("## Configuration")]
    expected = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or field.default is None else str(field.default)
        expected.append((f"`{PREFIX}{name.upper()}`", default, field.description))
    assert told == expected


def test_the_exit_codes_of_the_readme_are_those_of_the_code() -> None:
    """The README's table of exit codes equals the one table in code."""
    expected = [
        [str(int(code)), each.status, each.meaning, each.who_acts, "yes" if each.retry_helps else "no"]
        for code, each in EXITS.items()
    ]
    assert rows_of("## Exit codes") == expected


def test_every_table_stands_in_the_readme() -> None:
    """The README's table of tables names exactly the tables there are."""
    told = {name for cells in rows_of("## How it is built") for name in re.findall(r"`(\w+)`", cells[0])}
    assert told == set(metadata.tables)


def test_every_make_target_stands_in_the_readme() -> None:
    """The README's table for developers names exactly the Makefile's targets."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE)) - {"help"}
    told = {cells[0].strip("`").removeprefix("make ") for cells in rows_of("## Developing")}
    assert told == targets


def test_the_readmes_queries_run(database: TestDatabase) -> None:
    """Each SQL statement of the README works on a migrated database."""
    statements = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    assert len(statements) == 3
    for statement in statements:
        if statement.startswith("SELECT"):
            assert database.all(statement) == []
        else:
            database.execute(f"BEGIN; {statement} ROLLBACK")


def test_the_version_is_said_in_one_place(certjobs: Certjobs) -> None:
    """`certjobs --version` and the package say the one version, and the changelog begins with it."""
    assert certjobs("--version").stdout == f"certjobs {__version__}\n"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    headings = re.findall(r"(?m)^## ([^\s,]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert headings[0] == __version__


def test_what_repeats_the_version_says_the_same() -> None:
    """Each image tag of the manifests, each wheel that a document names and the man page are of this version."""
    told = {}
    pages = [page for folder in ("docs", "k8s", "certjobs") for page in (ROOT / folder).rglob("*") if page.is_file()]
    for page in (ROOT / "README.md", ROOT / "Makefile", ROOT / "pyproject.toml", *pages):
        if page.suffix != ".pyc":
            text = page.read_text(encoding="utf-8")
            for version in re.findall(r"(?:newTag: |certjobs[-/: ]v?)[\"']?(\d+\.\d+\.\d+\w*)", text):
                told[f"{page.relative_to(ROOT)}: {version}"] = version
    assert {said for said, version in told.items() if version != __version__} == set()
    tagged = {page for page in (ROOT / "k8s").rglob("kustomization.yaml") if "newTag" in page.read_text("utf-8")}
    assert len([said for said in told if said.startswith("k8s/")]) == len(tagged) >= 4
    assert {f"docs/install.md: {__version__}", f"docs/man/certjobs.1: {__version__}"} <= set(told)


@pytest.mark.parametrize(
    "name",
    ["README.md", "CHANGELOG.md", "requirements.lock", "docs/install.md", "docs/runbook.md", "docs/crontab"],
)
def test_no_address_of_a_package_registry_is_committed(name: str) -> None:
    """The lock file holds no URL, and the documents name no place of this or that machine."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = [
        each for each in re.findall(r"\w+://[^\s`/@]+", text) if not each.startswith(("postgresql://", "https://"))
    ]
    assert found == []
    assert str(Path.home()) not in text


def test_every_table_stands_in_the_privacy_document() -> None:
    """docs/privacy.md names every table there is, and none that there is not."""
    text = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    told = {name for name in re.findall(r"`(\w+)`", text) if "_" in name or name in metadata.tables}
    assert {name for name in told if not name.startswith(PREFIX)} == set(metadata.tables)


def test_examples_in_help_keep_their_lines(certjobs: Certjobs) -> None:
    """Each command's help shows its examples one a line, as they are typed, and no mark that is for the program."""
    for name in commands():
        text = certjobs(*name.split()[1:], "--help").stdout
        assert "\\b" not in text, name
        examples = [line for line in text.split("\n") if line.startswith("    certjobs ")]
        assert examples, name


def test_links_lead_somewhere() -> None:
    """Each link of README and docs to a file or a heading of ours leads to one that is there."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^):]+)\)", page.read_text(encoding="utf-8")):
            name, _, anchor = target.partition("#")
            found = page.parent / name if name else page
            assert found.exists(), (page.name, target)
            if anchor:
                headings = re.findall(r"(?m)^#+ (.*)$", found.read_text(encoding="utf-8"))
                anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
                assert anchor in anchors, (page.name, target)
