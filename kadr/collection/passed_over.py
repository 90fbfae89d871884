"""Count the files and folders that are not indexed, by kind and by suffix."""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from kadr.io.system_files import count_by_suffix

UNREADABLE_FOLDER, UNREADABLE_FILE = "unreadable folder", "unreadable file"
BROKEN_LINK, LINKED_FOLDER, SPECIAL_FILE = "broken link", "linked folder", "socket or device"
NOT_UTF8, EXCLUDED, NO_MEDIA = "name not in UTF-8", "excluded", "folder with .nomedia"

_RULES = {
    UNREADABLE_FOLDER: "unreadable",
    UNREADABLE_FILE: "unreadable",
    BROKEN_LINK: "broken_link",
    SPECIAL_FILE: "special_file",
    NOT_UTF8: "name_not_utf8",
}
"""Kinds that are listed in set_aside.parquet -> name of the rule."""


@dataclass
class PassedOver:
    """The files and folders that a listing passed over.

    Attributes:
        counts: kind -> number of files and folders.
        examples: kind -> path of the first file or folder.
        suffixes: suffix in lower case -> number of files that are not images.
        set_aside: path and rule of the files and folders that may be or contain images.
        unreadable: paths of the files and folders that cannot be read now.
        silent: paths of the folders with a .nomedia file.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    suffixes: Counter[str] = field(default_factory=Counter)
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)

    def add(self, kind: str, path: str) -> None:
        """Count a file or folder."""
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self.counts[kind] += 1
        self.examples.setdefault(kind, shown)
        if kind in _RULES:
            self.set_aside.append((shown, _RULES[kind]))
        if kind in (UNREADABLE_FOLDER, UNREADABLE_FILE):
            self.unreadable.add(path)
        if kind == NO_MEDIA:
            self.silent.add(path)

    def add_others(self, names: Iterable[str]) -> None:
        """Count the files that are not images, by suffix."""
        self.suffixes.update(count_by_suffix(names))

    def describe(self) -> str:
        """Return the counts as text, such as `12 .mov, 3 .txt, unreadable folder: 1 (e.g. /disk/private)`."""
        suffixes = [f"{n:,} {suffix or 'without a suffix'}" for suffix, n in self.suffixes.most_common()]
        kinds = [f"{kind}: {n:,} (e.g. {self.examples[kind]})" for kind, n in sorted(self.counts.items())]
        return ", ".join(suffixes + kinds)


def is_below(path: str, parents: AbstractSet[str]) -> bool:
    """Return whether a path or one of its parent folders is in a set of paths.

    >>> is_below("/a/b/c.jpg", {"/a/b"}), is_below("/a/bc.jpg", {"/a/b"})
    (True, False)
    """
    while path not in parents:
        path, separator, _ = path.rpartition("/")
        if not separator:
            return False
    return True
