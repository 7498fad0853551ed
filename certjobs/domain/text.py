"""Text that may be hostile."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with everything replaced that could move a terminal's cursor or hide what stands there."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def counted(number: int, thing: str) -> str:
    """Return a number of things in words: 1 mentor, 2 mentors."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
