"""Parse the names of weights in the settings: `local-dir:FOLDER`, `hf-hub:NAME` or `package:MODULE/PATH`."""

import importlib.util
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

from kadr.errors import EncoderError

LOCAL_DIR, HF_HUB, PACKAGE = "local-dir:", "hf-hub:", "package:"


def local_folder(name: str) -> str | None:
    """Return the FOLDER part of `local-dir:FOLDER`, or None for any other name."""
    return name.removeprefix(LOCAL_DIR) if name.startswith(LOCAL_DIR) else None


def package_module(name: str) -> str | None:
    """Return the MODULE part of `package:MODULE/PATH`, or None for any other name."""
    return name.removeprefix(PACKAGE).partition("/")[0] if name.startswith(PACKAGE) else None


def resolve_package_path(name: str) -> str:
    """Return the file path of `package:MODULE/PATH` without importing the module, or any other name unchanged.

    Raises:
        EncoderError: the package is not installed, or does not contain PATH.
    """
    module = package_module(name)
    if module is None:
        return name
    inside = name.partition("/")[2]
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(
            f"{name}: the package {module} is not installed. Install the package, or use a folder or a model on a hub."
        )
    path = Path(spec.submodule_search_locations[0]) / inside
    if not path.exists():
        raise EncoderError(f"{name}: the package {module} does not contain {inside!r}. Correct the path.")
    return str(path)


def package_distributions(names: Iterable[str]) -> list[str]:
    """Return the sorted names of the distributions that contain the modules of `package:MODULE/PATH` names."""
    provided = packages_distributions()
    modules = {module for name in names if (module := package_module(name))}
    return sorted({distribution for module in modules for distribution in provided.get(module, [])})
