"""The Jinja environment of the report templates."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def load_templates() -> "Environment":
    """Return the environment of the templates in this package.

    Values are HTML-escaped. A variable that is not defined raises an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("kadr.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
