"""sync --credentials: an administrator, at night, with a new secret on a sticky note.

What is given never stands in the arguments; it is checked before anything else, and kept in memory.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from certjobs import bootstrap
from certjobs.cli import output, render
from certjobs.cli.options import ASKED_FOR, CREDENTIALS, STDIN, clean_reason
from certjobs.domain.credentials import LONGEST, NAMES, Credentials, of_secret, parse
from certjobs.domain.text import printable
from certjobs.errors import CertjobsError, CredentialsRejected, ExitCode, InputRejected, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def sync(given: str, options: Mapping[str, Any], request: bootstrap.Request, reason: str | None, *, yes: bool) -> int:
    """Send with credentials given by hand, and return the exit code.

    They are checked before a reason and a confirmation are asked for. Raises what ``read`` raises, UsageError where
    somebody has to be asked and nobody is there, and what the portal says where it does not accept them.
    """
    if given == STDIN and not yes and not request.dry_run:
        msg = "Where credentials come from standard input nobody can be asked whether to send with them."
        raise UsageError(msg, hint="Add --yes.")
    request = replace(request, credentials=read(given), reason=clean_reason(reason) if reason is not None else None)
    try:
        show(bootstrap.accepted_credentials(request, output.progress()))
    except CertjobsError as exc:
        if not request.dry_run:
            bootstrap.fail_job("sync", exc, request, output.progress())
        raise
    try:
        if not request.dry_run:
            request = replace(request, reason=request.reason or ask_for_reason())
        if not yes and not request.dry_run and not confirmed():
            print("Nothing was sent.", file=sys.stderr)
            return int(ExitCode.INTERRUPTED)
    except (typer.Abort, KeyboardInterrupt):
        print("\nNothing was sent.", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    report = bootstrap.run_job("sync", options, request, output.progress())
    with output.shown():
        render.report(report, as_json=request.json)
        print(printable(" ".join(_left_to_do(given, request))), file=sys.stderr)
    return int(report.outcome.exit_code)


def _left_to_do(given: str, request: bootstrap.Request) -> Iterator[str]:
    """Yield what is left to do: the stored credentials are what every other run works with."""
    yield "These credentials were kept in memory only, and are forgotten now."
    try:
        bootstrap.accepted_credentials(replace(request, credentials=None), output.progress())
    except CredentialsRejected as exc:
        yield f"The stored ones are not accepted: {exc.message} Store the new secret before the next night."
    except CertjobsError as exc:
        yield f"The stored ones do not work, or nobody knows: {exc.message} Put that right before the next night."
    else:
        yield "The stored ones are accepted too: nothing has to be rotated."
    if given not in (ASKED_FOR, STDIN):
        yield "Delete the file."


def read(given: str) -> Credentials:
    """Return the credentials of a file, of standard input, or of a person who is asked for the secret.

    Raises InputRejected for a file that others can read, or that holds no credentials.
    """
    _leave_no_core()
    if given == ASKED_FOR and sys.stdin is not None and sys.stdin.isatty():
        return of_secret(getpass.getpass("Client secret (it is not shown): ", stream=sys.stderr))
    if given in (ASKED_FOR, STDIN):
        return parse(_text(sys.stdin.buffer.read(LONGEST + 1) if sys.stdin is not None else b""))
    return parse(_text(_content(Path(given))))


def ask_for_reason() -> str:
    """Ask why. Raises UsageError where nobody can be asked."""
    if not _somebody_there():
        msg = "Sending with credentials given by hand needs a reason, and nobody can be asked for one."
        raise UsageError(msg, hint="Add --reason TEXT.")
    return clean_reason(typer.prompt("Why, for the audit (name nobody in it)", err=True))


def confirmed() -> bool:
    """Ask whether to send. Raises UsageError where nobody can be asked."""
    if not _somebody_there():
        msg = "Nobody can be asked whether to send with these credentials."
        raise UsageError(msg, hint="Add --yes.")
    return typer.confirm("Send to the website with them now?", err=True)


def show(accepted: bootstrap.Accepted) -> None:
    """Say whose credentials they are."""
    sentence = (
        f"The portal {accepted.url} accepts the application {accepted.client_id} of the tenant {accepted.tenant}."
    )
    print(printable(sentence), file=sys.stderr)


def _somebody_there() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _content(path: Path) -> bytes:
    """Read a file that nobody but its owner can. Raises InputRejected."""
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if stat.S_ISREG(status.st_mode):
                if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    msg = "Others than you can read the file of credentials, so it is not used."
                    raise InputRejected(
                        msg, hint="Run chmod 600 on it; whoever could read it until now knows the secret."
                    )
                if status.st_uid not in (os.geteuid(), 0):
                    msg = "The file of credentials belongs to somebody else, so it is not used."
                    raise InputRejected(msg, hint="Copy it to a file of your own that only you can read.")
            return stream.read(LONGEST + 1)
    except OSError as exc:
        msg = f"The file of credentials cannot be read: {exc.strerror}."
        raise InputRejected(msg, hint=f"Check its path; {CREDENTIALS} - reads standard input.") from None


def _text(content: bytes) -> str:
    if len(content) > LONGEST:
        msg = f"Credentials are no longer than {LONGEST // 1024} KiB; this is something else."
        raise InputRejected(msg, hint=f"They hold {', '.join(NAMES)}.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        msg = "The credentials are no text in UTF-8."
        raise InputRejected(
            msg, hint="Write them with an editor, as `certjobs sync --credentials-template` shows."
        ) from None


def _leave_no_core() -> None:
    """From here on a crash leaves no image of this process's memory on the disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
