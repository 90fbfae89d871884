"""Registries of named implementations. Any installed package can register implementations as entry points."""

import functools
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from kadr.errors import ParamsError

Implementation = TypeVar("Implementation")


@dataclass(frozen=True)
class Registry(Generic[Implementation]):
    """Implementations of one kind, selected by name in params.yaml.

    A package registers its implementations in its pyproject.toml, as kadr itself does:

        [project.entry-points."kadr.aggregators"]
        trimmed_mean = "my_package.trimmed_mean:TrimmedMean"

    If an implementation requires an extra of its package, name the extra at the end: `"module:Class [extra]"`.

    Attributes:
        group: name of the entry point group, e.g. kadr.aggregators.
        setting: key in params.yaml that selects an implementation. Error messages contain this key.
    """

    group: str
    setting: str

    @property
    def names(self) -> list[str]:
        """Names of the registered implementations, sorted."""
        return sorted(_entry_points(self.group))

    def check(self, name: str) -> str:
        """Return `name` if an implementation has this name, otherwise raise ValueError."""
        if name not in self.names:
            raise ValueError(f"{name!r} is not a registered name. Choose one of {', '.join(self.names)}")
        return name

    def load(self, name: str) -> Implementation:
        """Import and return the implementation with the given name.

        Raises:
            ParamsError: the name is not registered, or a package that the implementation needs is not installed.
        """
        known = _entry_points(self.group)
        if name not in known:
            raise ParamsError(f"{self.setting} is {name!r}, expected one of {', '.join(sorted(known))}.")
        entry = known[name]
        try:
            implementation: Implementation = entry.load()
        except ModuleNotFoundError as error:
            raise ParamsError(
                f"{self.setting} is {name!r}, which requires the package {error.name}. {_install_hint(entry)}"
            ) from error
        return implementation


@functools.cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group: name -> entry point."""
    return {entry.name: entry for entry in entry_points(group=group)}


def _install_hint(entry: EntryPoint) -> str:
    package: Any = entry.dist.name if entry.dist else "the package that registers it"
    extras = f"[{','.join(entry.extras)}]" if entry.extras else ""
    return f"Install it: pip install '{package}{extras}'"
