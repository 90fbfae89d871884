"""A parser for the HTML pages of the reports."""

from html.parser import HTMLParser


class PageParser(HTMLParser):
    """Collect section IDs and links, and check that tags are closed in the correct order."""

    VOID_TAGS = ("meta", "img", "br", "use", "path")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.section_ids: list[str] = []
        self.links: list[str] = []
        self.open_tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.links += [attributes[key] or "" for key in ("src", "href") if key in attributes]
        if tag == "section":
            self.section_ids.append(attributes["id"] or "")
        if tag not in self.VOID_TAGS:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID_TAGS:
            assert self.open_tags.pop() == tag
