"""The ingest part's data docs: Great Expectations' own page of a validated table, without what differs by run."""

from collections.abc import Iterator
from itertools import count
from typing import Any


def render_data_docs(result: Any) -> str:
    """The HTML of a validation result; the same result gives the same page, so that a second run is the same bytes.

    The library puts the time of the run, and random ids of what folds up, into a page; here both are fixed.
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
