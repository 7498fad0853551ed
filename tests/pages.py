"""A page of HTML, taken apart: which elements it has, how they nest, and what is text in it."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = frozenset(("meta", "link", "br", "hr", "img", "input", "base", "area", "col", "embed", "source", "track", "wbr"))
INLINE = frozenset(("a", "b", "bdi", "code", "span", "strong", "time"))  # words on both sides of them belong together


class Page(HTMLParser):
    """``faults`` has every end tag that ends something else, and every element that never ends."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.faults: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> never ends" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._part(tag)
        if len(attrs) != len(dict(attrs)):
            self.faults.append(f"<{tag}> has an attribute twice")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._part(tag)
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            self.faults.append(f"</{tag}> ends {self._open[-1:]}")

    def handle_data(self, data: str) -> None:
        if "body" in self._open:
            self.texts.append(data)

    def _part(self, tag: str) -> None:
        if tag not in INLINE:
            self.texts.append(" ")

    @property
    def text(self) -> str:
        """Return all that is to be read, with single spaces."""
        return " ".join("".join(self.texts).split())

    @property
    def tags(self) -> set[str]:
        """Return the names of all elements."""
        return {tag for tag, _ in self.elements}

    def values(self, attribute: str) -> list[str]:
        """Return the values of an attribute wherever it stands."""
        return [value for _, each in self.elements if (value := each.get(attribute)) is not None]
