"""Create an environment that contains the base dependencies of kadr alone, from the packages installed here."""

import subprocess
import sys
from collections import Counter
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def find_dependencies(requirements: list[str]) -> dict[str, Distribution]:
    """Return the installed distributions that the requirements need, directly or indirectly: name -> distribution."""
    found: dict[str, Distribution] = {}
    known_extras: dict[str, set[str]] = {}
    todo = [Requirement(requirement) for requirement in requirements]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras} - known_extras.setdefault(name, set())
        if not extras:
            continue
        known_extras[name] |= extras
        found[name] = distribution(name)
        todo += [
            needed
            for needed in map(Requirement, found[name].requires or [])
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return found


def create_environment(folder: Path, distributions: dict[str, Distribution]) -> Path:
    """Create a virtual environment that links to the files of the distributions. Return its Python.

    A folder that only one distribution uses is linked as a whole, so that the environment is created within a second.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    files = {name: _files(found) for name, found in distributions.items()}
    owners = Counter(parent for paths in files.values() for parent in {p for path in paths for p in path.parents})
    for name, paths in files.items():
        for path in {_highest_own(path, owners) for path in paths}:
            (site_packages / path).parent.mkdir(parents=True, exist_ok=True)
            if not (site_packages / path).exists():
                (site_packages / path).symlink_to(Path(str(distributions[name].locate_file(path))).resolve())
    return folder / "bin" / "python"


def _files(found: Distribution) -> list[PurePosixPath]:
    """Return the files of a distribution in site-packages, without its scripts."""
    return [PurePosixPath(path) for path in found.files or [] if ".." not in path.parts]


def _highest_own(path: PurePosixPath, owners: "Counter[PurePosixPath]") -> PurePosixPath:
    """Return the highest parent folder of a file that belongs to no other distribution, or the file itself.

    uv ignores links to metadata folders, so that their files are returned.
    """
    if path.parts[0].endswith(".dist-info"):
        return path
    own = [parent for parent in path.parents if parent != PurePosixPath() and owners[parent] == 1]
    return own[-1] if own else path
