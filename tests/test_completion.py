"""What a shell offers where TAB is pressed."""

from __future__ import annotations

import os
import re
import sysconfig
from typing import Any

import pexpect

from tests.conftest import ROOT
from tests.test_docs import commands


def test_bash_completes_commands_options_and_values() -> None:
    """With the file that is installed for it, bash completes; wrong settings and a dead database do not matter."""
    shell = pexpect.spawn(
        "bash",
        ["--norc", "--noprofile", "-i"],
        env={
            "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]),
            "TERM": "dumb",
            "PS1": "ready> ",
            "CERTJOBS_DATABASE_URL": "nonsense",
        },
        encoding="utf-8",
        timeout=20,
        dimensions=(40, 200),
        cwd=str(ROOT),
    )
    shell.expect_exact("ready> ")
    shell.sendline("bind 'set enable-bracketed-paste off'; source docs/completion/certjobs.bash && echo sour''ced")
    shell.expect_exact("sourced\r\nready> ")
    for typed, completed in (
        ("certjobs expi", "certjobs expiry-check "),
        ("certjobs sync --lim", "certjobs sync --limit "),
        ("certjobs mentors reins", "certjobs mentors reinstate "),
        ("certjobs nightly --language e", "certjobs nightly --language en "),
        ("certjobs roster import requirem", "certjobs roster import requirements.lock "),
    ):
        shell.send(f"{typed}\t")
        shell.expect_exact(completed)
        shell.sendcontrol("u")
    shell.send("certjobs runs --job \t\t")
    shell.expect_exact("expiry-check")
    shell.expect_exact("sync")
    shell.close(force=True)


def test_every_list_of_words_is_offered() -> None:
    """Where an argument or option is one of a few words or a job, a shell is offered just those."""
    found: dict[str, list[str]] = {}
    for name, command in commands().items():
        context = command.context_class(command, info_name=name, resilient_parsing=True)
        for parameter in command.params:
            words = words_of(parameter)
            if words:
                offered = sorted(each.value for each in parameter.shell_complete(context, ""))
                assert offered == sorted(words), (name, parameter.name)
                found[f"{name} {parameter.name}"] = offered
    assert {"certjobs run job", "certjobs queue list status", "certjobs coordinators add language"} <= set(found)


def words_of(parameter: Any) -> list[str]:
    """Return the words that a parameter takes, as its help says."""
    metavar = parameter.metavar or ""
    if metavar == "JOB":
        return ["expiry-check", "force-sync", "nightly", "prune", "reconcile", "remind", "sync"]
    if metavar == "STATUS":
        return re.findall(r"[a-z]+", parameter.help.removeprefix("Only these: "))
    return metavar.split("|") if "|" in metavar else []
