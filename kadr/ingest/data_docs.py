"""Render the validation result of a table as a Great Expectations HTML page."""

from collections.abc import Iterator
from itertools import count
from typing import Any


def render_data_docs(result: Any) -> str:
    """Return a validation result as an HTML page. Identical results produce identical pages.

    The pages of Great Expectations contain random element IDs and the time of the validation. This function removes
    the time and replaces the random IDs with consecutive numbers.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    result.meta["batch_markers"] = {}
    view = DefaultJinjaPageView()
    numbers: Iterator[int] = count(1)
    view.env.filters["generate_html_element_uuid"] = lambda prefix="": f"{prefix}{next(numbers)}"
    view.env.filters["add_data_context_id_to_url"] = lambda url, *_args: url
    page: str = view.render(ValidationResultsPageRenderer().render(result))  # type: ignore[no-untyped-call]
    return page
