"""Text that may be hostile."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with everything replaced that could move a terminal's cursor or hide what stands there."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def counted(number: int, thing: str) -> str:
    """Return a number of things in words: 1 mentor, 2 mentors."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def lasted(seconds: float) -> str:
    """Return how long something lasts in words, in the one unit that says enough: 12 s, 4 min, 3 h, 5 days."""
    for unit, length, until in (("s", 1, 60), ("min", 60, 60 * 60), ("h", 60 * 60, 2 * 24 * 60 * 60)):
        if seconds < until:
            return f"{max(0, int(seconds // length))} {unit}"
    return counted(int(seconds // (24 * 60 * 60)), "day")
