"""The kinds of findings that reconcile logs, and what is said of each."""

from __future__ import annotations

MEANING = {
    "extra": ("mentor on the website who should not be", "mentors on the website who should not be"),
    "missing": ("mentor missing from the website", "mentors missing from the website"),
    "unknown": ("entry on the website that no mentor has", "entries on the website that no mentor has"),
    "lagging": ("mentor still visible to the public", "mentors still visible to the public"),
    "duplicate": ("notice or pause that happened twice", "notices or pauses that happened twice"),
    "stuck": ("operation or notice that is stuck", "operations or notices that are stuck"),
    "unfinished": ("run that never ended", "runs that never ended"),
    "missed": ("night on which a job did not end well", "nights on which a job did not end well"),
    "warning": ("mentor active without a valid certification", "mentors active without a valid certification"),
}
KINDS = tuple(MEANING)
LAGGING = "lagging"
OF_THE_WEBSITE = ("extra", "missing", "unknown", LAGGING)
TRACES = ("duplicate", "stuck", "unfinished", "missed")


def sentence(kind: str, number: int, mended: int = 0) -> str:
    """Say how much there is of a kind, and how much more was put right, in words."""
    one, many = MEANING[kind]
    put_right = f"{mended} {one if mended == 1 else many}: put right at once." if mended else ""
    if not number:
        return put_right or f"Over: {many}."
    return f"{number} {one if number == 1 else many}.{f' And {put_right}' if put_right else ''}"
