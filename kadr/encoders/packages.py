"""The encoders' weights that come with an installed package: `package:MODULE/PATH`."""

import importlib.util
from pathlib import Path

from kadr.errors import EncoderError

PACKAGE = "package:"


def module_of(name: str) -> str | None:
    """MODULE of `package:MODULE/PATH`; None for any other name."""
    return name.removeprefix(PACKAGE).partition("/")[0] if name.startswith(PACKAGE) else None


def located(name: str) -> str:
    """The path that `package:MODULE/PATH` means, found without importing the module; any other name as it is.

    Raises:
        EncoderError: there is no such package, or nothing there in it.
    """
    module = module_of(name)
    if module is None:
        return name
    inside = name.partition("/")[2]
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(f"{name}: no package {module} is installed; install it, or name a path or a hub's model")
    path = Path(spec.submodule_search_locations[0]) / inside
    if not path.exists():
        raise EncoderError(f"{name}: the package {module} has no {inside!r}; name what it carries")
    return str(path)
