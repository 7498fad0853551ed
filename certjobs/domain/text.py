"""Text that may be hostile."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with everything replaced that could move a terminal's cursor or hide what stands there."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
