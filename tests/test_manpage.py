"""The man page says what the program says, and what is installed beside the program is in the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import manpage
import pytest

from certjobs.config import PREFIX, Settings
from certjobs.errors import ExitCode
from tests.conftest import ROOT
from tests.test_docs import commands

if TYPE_CHECKING:
    from pathlib import Path

LINTERS = {
    "groff": ["groff", "-man", "-Tutf8", "-ww", "-z", str(manpage.PAGE)],
    "man": ["man", "--warnings", "--local-file", "--no-hyphenation", "--encoding=UTF-8", str(manpage.PAGE)],
    "mandoc": ["mandoc", "-T", "lint", str(manpage.PAGE)],
}


def on_this_machine(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not on this machine")


def test_the_man_page_is_what_the_program_says() -> None:
    """The page that is committed is the one that the help texts, settings and exit codes make."""
    assert manpage.PAGE.read_text(encoding="utf-8") == manpage.page(manpage.dated()), "say `make man`"


@pytest.mark.parametrize("linter", [pytest.param(name, marks=on_this_machine(name)) for name in LINTERS])
def test_nothing_is_to_be_said_against_the_man_page(linter: str) -> None:
    """What renders man pages renders this one without a warning."""
    done = subprocess.run(LINTERS[linter], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    if linter == "mandoc":
        assert done.stdout == ""


@on_this_machine("groff")
def test_the_man_page_as_it_is_read() -> None:
    """On 80 columns every command, option, example, setting and exit status stands there, whole."""
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-rLL=78n", "-P-cbou", str(manpage.PAGE)], capture_output=True, check=True
    )
    text = done.stdout.decode()
    lines = text.split("\n")
    assert [line for line in lines if len(line) > 80] == []
    assert not set(text) & set("\u2010\u2212\u2019\x08\x1b`")
    sections = [line for line in lines if re.match("[A-Z]", line)][1:]
    expected = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES"]
    assert sections == [*expected, "EXAMPLES", "SEE ALSO"]
    for name, command in commands().items():
        start = lines.index(f"   {name.removeprefix('certjobs ')}")
        told = re.split(r"\n(?= {0,3}\S)", "\n".join(lines[start + 1 :]), maxsplit=1)[0]
        for parameter in command.params:
            names = [parameter.metavar] if parameter.param_type_name == "argument" else parameter.opts
            for each in (*names, *parameter.secondary_opts):
                assert each in told, (name, each)
        for example in re.findall(r"(?m)^  (certjobs .*)", command.help):
            assert " ".join(example.split()) in " ".join(told.replace(" \\\n", "\n").split()), example
    for setting in Settings.model_fields:
        assert f"       {PREFIX}{setting.upper()}" in lines
    for code in ExitCode:
        assert re.search(rf"(?m)^ {{7}}{int(code)} +\S", text), code


def test_what_is_typed_can_be_copied_from_the_man_page() -> None:
    """In commands, options, settings and examples each hyphen is one that every renderer shows as it is typed."""
    source = manpage.PAGE.read_text(encoding="utf-8")
    typed = re.findall(r"\\fB.*?\\fR", source, re.DOTALL) + re.findall(r"(?ms)^\.EX$.*?^\.EE$", source)
    assert len(typed) > len(commands())
    assert [each for each in typed if re.search(r"(?<!\\)-", each)] == []


def test_the_wheel_brings_the_man_page_and_completion(tmp_path: Path) -> None:
    """What is installed beside the program is in the wheel, where man and the shells look."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        shared = {name.split(".data/data/")[1]: name for name in wheel.namelist() if ".data/data/" in name}
        assert set(shared) == {
            "share/man/man1/certjobs.1",
            "share/bash-completion/completions/certjobs",
            "share/zsh/site-functions/_certjobs",
            "share/fish/vendor_completions.d/certjobs.fish",
        }
        assert wheel.read(shared["share/man/man1/certjobs.1"]) == manpage.PAGE.read_bytes()
