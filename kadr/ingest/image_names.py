"""Find the image file that each image name in a table refers to.

The names in a table often differ from the names of the files. For example, a spreadsheet removes leading zeros, macOS
decomposes letters, and an annotation tool exports URLs. A name that equals no file is compared with all files in
several steps, from strict to loose. A name is matched only if exactly one file fits.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from kadr.ingest.image_paths import Parts, parse_paths
from kadr.ingest.name_collisions import find_collisions
from kadr.ingest.name_forms import FORMS, NameForm, fold_case
from kadr.io.invisible_characters import visible

KINDS = {
    "exact": "nothing differs",
    "folder": "the folders differ",
    "url": "the table contains a URL",
    **{form.kind: form.difference for form in FORMS},
}
"""What differs between the name in the table and the name of the file, by kind of match, from strict to loose."""


@dataclass(frozen=True)
class NameMatches:
    """Result of `resolve_names`.

    Attributes:
        files: file of each matched name.
        kinds: kind of match of each matched name, a key of KINDS.
        ambiguous: reason why a name that resembles a file is not matched, by name.
    """

    files: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    ambiguous: dict[str, str] = field(default_factory=dict)

    def count_kinds(self) -> dict[str, int]:
        """Return the number of names of each kind of match that occurs, from strict to loose."""
        kinds = list(self.kinds.values())
        return {kind: kinds.count(kind) for kind in KINDS if kind in kinds}

    def describe(self) -> list[str]:
        """Return a clause with a count and an example for each kind of match except `exact`."""
        examples: dict[str, str] = {}
        for name in sorted(self.kinds):
            examples.setdefault(self.kinds[name], name)
        return [
            f"matched {count:,} image names although {KINDS[kind]}, such as '{visible(examples[kind])}' with the file "
            f"'{visible(self.files[examples[kind]])}'"
            for kind, count in self.count_kinds().items()
            if kind != "exact"
        ]


def resolve_names(
    names: Iterable[str], files: Collection[str], folder: str = "", other_folders: Collection[str] = ()
) -> NameMatches:
    """Find the file that each name refers to.

    Args:
        names: image names, paths or URLs in a table. Blank names are skipped.
        files: paths of the image files relative to one folder, with slashes, e.g. `beach.jpg` or `summer/beach.jpg`.
        folder: name of the folder that contains the files. In a path such as `/data/<folder>/beach.jpg`, the part up to
            this folder is ignored.
        other_folders: names of other image folders. A path in one of these folders matches none of the files.

    Returns:
        The matches. A name that is neither matched nor ambiguous resembles no file.
    """
    result = NameMatches()
    known = files if isinstance(files, set | frozenset | dict) else set(files)
    remaining = []
    for name in sorted(set(names) - {""}):
        if name in known:
            result.files[name], result.kinds[name] = name, "exact"
        else:
            remaining.append(name)
    if remaining:
        matcher = _Matcher(known, folder, other_folders)
        paths = {name: path for name in remaining if (path := matcher.match(name, result))}
        for name, reason in find_collisions(paths, result.files).items():
            del result.files[name], result.kinds[name]
            result.ambiguous[name] = reason
    return result


class _Matcher:
    """Compare names with the files of one folder, form by form."""

    def __init__(self, files: Collection[str], folder: str, other_folders: Collection[str]) -> None:
        self._files = sorted(files)
        self._folder = fold_case(folder)
        self._other_folders = {fold_case(other) for other in other_folders} - {self._folder}
        self._subfolders = {fold_case(part) for file in self._files for part in file.split("/")[:-1]}
        self._indexes: dict[str, Mapping[str, list[Parts]]] = {}

    def match(self, name: str, result: NameMatches) -> Parts:
        """Add a name to `result`. Return its path below the image folder, or an empty path if no file fits."""
        paths = [(kind, self._cut(parts)) for kind, parts in parse_paths(name)]
        literal = NameForm("", "", str, str)
        for form in (literal, *FORMS):
            for path_kind, parts in paths:
                found = self._find(parts, form) if parts else []
                if len(found) > 1:
                    examples = " or ".join(repr("/".join(file)) for file in found[:3])
                    result.ambiguous[name] = f"{name!r} could be the file {examples}"
                    return ()
                if found:
                    result.files[name], result.kinds[name] = "/".join(found[0]), form.kind or path_kind
                    return parts
        return ()

    def _cut(self, parts: Parts) -> Parts:
        """Return the part of a path below the image folder, or an empty path if it is in another image folder."""
        for position in range(len(parts) - 2, -1, -1):
            part = fold_case(parts[position])
            if part == self._folder:
                return parts[position + 1 :]
            if part in self._other_folders:
                return ()
        return parts

    def _find(self, parts: Parts, form: NameForm) -> list[Parts]:
        """Return the files with the same file name as a path. Of several files, return those in the same subfolders."""
        ranks = {file: self._rank(parts, file) for file in self._index(form).get(form.of_name(parts[-1]), ())}
        best = max(ranks.values(), default=0)
        return [file for file, rank in ranks.items() if rank == best > 0]

    def _rank(self, parts: Parts, file: Parts) -> int:
        """Return how well the folders of a path and of a file with the same file name agree, 0 for a contradiction."""
        n_common = 1
        for left, right in zip(parts[-2::-1], file[-2::-1], strict=False):
            if fold_case(left) != fold_case(right):
                # A folder that exists but does not contain the file contradicts the match.
                return 0 if fold_case(left) in self._subfolders else 1
            n_common += 1
        return 2 * n_common + (n_common == len(file))

    def _index(self, form: NameForm) -> Mapping[str, list[Parts]]:
        """Return the files by file name in the given form."""
        if form.kind not in self._indexes:
            index: dict[str, list[Parts]] = defaultdict(list)
            for file in self._files:
                parts = tuple(file.split("/"))
                index[form.of_file(parts[-1])].append(parts)
            self._indexes[form.kind] = index
        return self._indexes[form.kind]
