"""Tests of matching the headers of tables with the columns that kadr reads."""

import pytest

from kadr.errors import InputError
from kadr.ingest.columns import ALIASES, Columns, column_key, find_columns

REQUIRED, OPTIONAL = ("image", "text", "rating"), ("rater", "time")


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["image", "text", "rating"], {"image": "image", "text": "text", "rating": "rating"}),
        (
            ["Img_ID", "Query Text", "SCORE", "worker-id"],
            {"image": "Img_ID", "text": "Query Text", "rating": "SCORE", "rater": "worker-id"},
        ),
        (
            ["WorkerId", "SubmitTime", "Input.image_url", "Input.caption", "Answer.rating"],
            {
                "image": "Input.image_url",
                "text": "Input.caption",
                "rating": "Answer.rating",
                "rater": "WorkerId",
                "time": "SubmitTime",
            },
        ),
        (["Фото", "Запрос", "Оценка", ""], {"image": "Фото", "text": "Запрос", "rating": "Оценка"}),
        (  # the exact name and the more specific alias are preferred
            ["img", "image", "text", "caption", "rating", "label", "created_at", "updated_at", "user", "annotator"],
            {"image": "image", "text": "text", "rating": "rating", "rater": "annotator", "time": "updated_at"},
        ),
        (["image", "text"], None),
    ],
)
def test_headers_are_matched_by_aliases(header: list[str], columns: dict[str, str] | None) -> None:
    assert find_columns(header, REQUIRED, OPTIONAL) == columns


def test_two_headers_of_one_column_are_an_error_that_names_both() -> None:
    with pytest.raises(InputError, match=r"contains photo and img, which both fit the column image.*Rename"):
        find_columns(["photo", "img", "text", "rating"], REQUIRED)


def test_other_columns_keep_their_names() -> None:
    select = Columns(("image", "text"), others=lambda name: name.startswith("rate_"))
    assert select(["img", "text", "rate_1", "note"]) == {"image": "img", "text": "text", "rate_1": "rate_1"}


def test_aliases_are_keys_without_separators() -> None:
    names = [name for groups in ALIASES.values() for group in groups for name in group.split()]
    assert [column_key(name) for name in names] == names
