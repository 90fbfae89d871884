"""The Jinja environment for the report templates."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def load_templates() -> "Environment":
    """Return a Jinja environment for the templates in this package.

    The environment escapes values for HTML and raises an error for undefined variables.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("kadr.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
