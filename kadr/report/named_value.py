"""A value with a name, as shown in the tiles and tables of the reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedValue:
    """A formatted value with a name and an explanatory note."""

    name: str
    value: str
    note: str
