"""Find names in tables that fit the same image file, although they contradict each other."""

from collections import defaultdict
from collections.abc import Mapping

from kadr.ingest.image_paths import Parts, without_machine
from kadr.ingest.name_forms import fold_case, split_suffix

_SAME_FORMAT = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif", ".heif": ".heic", ".hif": ".heic"}


def find_collisions(paths: Mapping[str, Parts], files: Mapping[str, str]) -> dict[str, str]:
    """Find names that must not be matched, because another name with the same file contradicts them.

    Two names contradict each other if their folders, their extensions or their leading zeros differ. For example, a
    table with `cats/1.jpg` and `dogs/1.jpg` names two images, even if the folder contains only one `1.jpg`.

    Args:
        paths: path of each name that differs from its file, below the image folder.
        files: file of each matched name, including the names that equal their file.

    Returns:
        Reason why each of these names is not matched, by name.
    """
    names_by_file: dict[str, list[str]] = defaultdict(list)
    for name in paths:
        names_by_file[files[name]].append(name)
    reasons = {}
    for file, names in names_by_file.items():
        exact = [file] if files.get(file) == file else []
        if len(names) + len(exact) > 1:
            named_paths = {name: paths[name] for name in sorted(names)} | {name: (name,) for name in exact}
            for name in _find_contradicted(named_paths, file):
                other = next(other for other in (*exact, *named_paths) if other != name)
                reasons[name] = f"{name!r} and {other!r} could both be the file {file!r}"
    return reasons


def _find_contradicted(paths: Mapping[str, Parts], file: str) -> set[str]:
    """Return the names of one file that differ from the file in a way in which the names also differ."""
    folders = {name: tuple(map(fold_case, without_machine(parts[:-1]))) for name, parts in paths.items()}
    contradicted = set()
    if not _are_nested(set(folders.values())):
        contradicted |= {name for name, parts in folders.items() if parts}
    suffixes, numbers = {}, {}
    for name, parts in paths.items():
        stem, suffix = split_suffix(parts[-1])
        suffixes[name] = _SAME_FORMAT.get(suffix, suffix)
        number = stem.partition(".")[0]
        numbers[name] = (bool(suffix), number) if number.isdecimal() else (False, "")
    stem, suffix = split_suffix(file.rsplit("/", 1)[-1])
    if len(set(suffixes.values()) - {""}) > 1:
        contradicted |= {
            name for name, other in suffixes.items() if other not in ("", _SAME_FORMAT.get(suffix, suffix))
        }
    for has_suffix in (True, False):
        if len({number for suffixed, number in numbers.values() if number and suffixed == has_suffix}) > 1:
            contradicted |= {name for name, number in numbers.items() if number[0] == has_suffix and number[1] != stem}
    return contradicted - {file}


def _are_nested(folders: set[Parts]) -> bool:
    """Return whether each sequence of folders is the end of the longest one."""
    longest = max(folders, key=len)
    return all(parts == longest[len(longest) - len(parts) :] for parts in folders)
