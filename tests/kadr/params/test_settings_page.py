"""Test that the generated page docs/settings.md is up to date."""

from pathlib import Path

from kadr.params.settings_page import PAGE, settings_page


def test_the_page_is_up_to_date(project: Path) -> None:
    page = (project / PAGE).read_text(encoding="utf-8")
    assert page == settings_page(), "Run `python -m kadr.params.settings_page`."
