"""Tests for ratings: one invalid row for each validation rule, rater identification, and the invalid-input limits."""

import numpy as np
import pandas as pd
import pytest

from kadr.errors import TooManyInvalidError
from kadr.ingest.expert_ratings import columns_identify_raters
from kadr.ingest.quarantine import check_image_limit, check_row_limit
from kadr.ingest.ratings import CheckedRatings
from kadr.ingest.ratings import check_ratings as check_ratings_on_scales
from kadr.ingest.raw_input import RawLongRatings, RawRatings
from kadr.ingest.source_scales import choose_scales
from kadr.io.schemas import QUARANTINE
from kadr.params import ScaleSetting, SourceScales

IMAGE_STATUS = {"a.jpg": "ok", "cut.jpg": "truncated", "gone.jpg": "missing", "test.jpg": "image_in_test"}
QUERY_SPLITS = {"t1": "train", "t2": "train", "q1": "test"}
NAMES = {"image_id": "img_id", "query_id": "text"}


def table(columns: str, *rows: str) -> pd.DataFrame:
    frame = pd.DataFrame([row.split(",") for row in rows], columns=columns.split(","), dtype="str")
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1, name="row"))


def check_ratings(
    raw: RawRatings | RawLongRatings,
    image_status: dict[str, str],
    query_splits: dict[str, str],
    expert: ScaleSetting = (1, 4),
    crowd: ScaleSetting = (0, 1),
) -> CheckedRatings:
    scales = choose_scales([raw], SourceScales(expert, crowd))
    return check_ratings_on_scales(raw, image_status, query_splits, scales)


def check_single_file(*rows: str) -> CheckedRatings:
    frame = table("image_id,query_id,rate_1,rate_2,crowd_rates", *rows)
    return check_ratings(
        RawRatings("t.csv", frame, NAMES, ("rate_1", "rate_2"), "crowd_rates"), IMAGE_STATUS, QUERY_SPLITS
    )


def check_crowd(*rows: str) -> CheckedRatings:
    frame = table("image_id,query_id,share,yes,no", *rows)
    return check_ratings(
        RawRatings("c.tsv", frame, {}, crowd_column="share", vote_columns=("yes", "no")), IMAGE_STATUS, QUERY_SPLITS
    )


def rejected(checked: CheckedRatings) -> list[list[object]]:
    return checked.quarantine[["row", "column", "value", "rule"]].values.tolist()


def test_valid_rows_become_one_row_per_rating() -> None:
    checked = check_single_file("a.jpg,t1,1,4,0.25", "a.jpg,t2,,2.5,", "a.jpg,t1,,,1")
    columns = ["query_id", "source", "rater", "rating", "scale_min", "scale_max", "votes"]
    assert checked.ratings[columns].fillna("-").values.tolist() == [
        ["t1", "expert", "rate_1", 1.0, 1.0, 4.0, 1],
        ["t1", "expert", "rate_2", 4.0, 1.0, 4.0, 1],
        ["t2", "expert", "rate_2", 2.5, 1.0, 4.0, 1],
        ["t1", "crowd", "-", 0.25, 0.0, 1.0, 1],
        ["t1", "crowd", "-", 1.0, 0.0, 1.0, 1],
    ]
    assert checked.quarantine.empty
    assert (checked.n_rows, checked.columns_identify_raters) == (3, True)


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        (",t1,1,1,1", "img_id", "", "image_empty"),
        ("test.jpg,t1,1,1,1", "img_id", "test.jpg", "image_in_test"),
        ("gone.jpg,t1,1,1,1", "img_id", "gone.jpg", "image_missing"),
        ("never.jpg,t1,1,1,1", "img_id", "never.jpg", "image_missing"),
        ("cut.jpg,t1,1,1,1", "img_id", "cut.jpg", "image_set_aside"),
        ("a.jpg,,1,1,1", "text", "", "text_empty"),
        ("a.jpg,t9,1,1,1", "text", "t9", "query_text_unknown"),
        ("a.jpg,q1,1,1,1", "text", "q1", "query_in_test"),
        ("a.jpg,t1,4,4,1", "img_id", "a.jpg", "duplicate_row"),
        ("a.jpg,t2,,,", "img_id", "a.jpg", "no_rating"),
    ],
)
def test_a_row_of_an_unusable_pair_is_rejected(row: str, column: str, value: str, rule: str) -> None:
    checked = check_single_file("a.jpg,t1,4,4,1", row, "a.jpg,t2,2,2,0")
    assert rejected(checked) == [[2, column, value, rule]]
    assert len(checked.ratings) == 6
    assert checked.quarantine[["file", "kind"]].values.tolist() == [["t.csv", "row"]]


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        ("a.jpg,t1,7,4,1", "rate_1", "7", "rating_out_of_scale"),
        ("a.jpg,t1,3,0,1", "rate_2", "0", "rating_out_of_scale"),
        ("a.jpg,t1,3,4,1.2", "crowd_rates", "1.2", "rating_out_of_scale"),
        ("a.jpg,t1,3,4,-0.1", "crowd_rates", "-0.1", "rating_out_of_scale"),
        ("a.jpg,t1,good,4,1", "rate_1", "good", "rating_not_a_number"),
        ("a.jpg,t1,4 stars,4,1", "rate_1", "4 stars", "rating_not_a_number"),
        ("a.jpg,t1,inf,4,1", "rate_1", "inf", "rating_not_a_number"),
    ],
)
def test_only_the_invalid_cell_of_a_row_is_rejected(row: str, column: str, value: str, rule: str) -> None:
    checked = check_single_file(row)
    assert rejected(checked) == [[1, column, value, rule]]
    assert len(checked.ratings) == 2


def test_all_ratings_of_a_repeated_pair_are_used() -> None:
    checked = check_single_file("a.jpg,t1,4,4,", "a.jpg,t1,4,3,")
    assert checked.ratings["rating"].tolist() == [4.0, 4.0, 4.0, 3.0]
    assert checked.quarantine.empty


def test_crowd_votes_are_counted() -> None:
    checked = check_crowd("a.jpg,t1,0.3333333333,1,2", "a.jpg,t2,0,0,5")
    assert checked.ratings[["rating", "votes"]].values.tolist() == [[0.3333333333, 3.0], [0.0, 5.0]]
    assert checked.columns_identify_raters is None


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        ("a.jpg,t1,0.5,0,0", "yes and no", "0 and 0", "votes_invalid"),
        ("a.jpg,t1,0.5,-1,2", "yes and no", "-1 and 2", "votes_invalid"),
        ("a.jpg,t1,0.5,x,2", "yes and no", "x and 2", "votes_invalid"),
        ("a.jpg,t1,0.5,1.5,1.5", "yes and no", "1.5 and 1.5", "votes_invalid"),
        ("a.jpg,t1,0.5,99999999999,0", "yes and no", "99999999999 and 0", "votes_invalid"),
        ("a.jpg,t1,0.9,1,2", "yes and no", "1 and 2", "share_contradicts_votes"),
        ("a.jpg,t1,3,1,2", "share", "3", "rating_out_of_scale"),
    ],
)
def test_an_invalid_crowd_row_is_rejected_once(row: str, column: str, value: str, rule: str) -> None:
    checked = check_crowd(row, "a.jpg,t2,1,3,0")
    assert rejected(checked) == [[1, column, value, rule]]
    assert checked.ratings["query_id"].tolist() == ["t2"]


def check_vote_lists(*cells: str) -> CheckedRatings:
    frame = table("image_id,query_id,crowd_rates", *(f"a.jpg,t{n}," for n in range(1, len(cells) + 1)))
    queries = {f"t{n}": "train" for n in range(1, len(cells) + 1)}
    raw = RawRatings(
        "t.csv", frame.assign(crowd_rates=pd.Series(cells, frame.index, "str")), NAMES, crowd_column="crowd_rates"
    )
    return check_ratings(raw, IMAGE_STATUS, queries)


def test_a_vote_list_becomes_a_share_with_votes() -> None:
    checked = check_vote_lists("[1, 0, 1]", "0.5", "[0]", "[1 1.0 0. 0]", "[1,1]")
    assert checked.ratings[["rating", "votes"]].round(3).values.tolist() == [
        [0.667, 3.0],
        [0.5, 1.0],
        [0.0, 1.0],
        [0.5, 4.0],
        [1.0, 2.0],
    ]
    assert checked.quarantine.empty


@pytest.mark.parametrize("cell", ["[1, 2]", "[1, 0", "[yes]", "[1, 0] x", "[0.5]", "[10]", "[1,,]"])
def test_an_invalid_vote_list_is_rejected(cell: str) -> None:
    checked = check_vote_lists(cell, "[]", "[1]")
    assert rejected(checked) == [[1, "crowd_rates", cell, "votes_invalid"]]
    assert checked.ratings["votes"].tolist() == [1]


def check_vote_counts(*rows: str) -> CheckedRatings:
    frame = table("image_id,query_id,crowd_yes,crowd_no", *rows)
    return check_ratings(
        RawRatings("t.csv", frame, NAMES, vote_columns=("crowd_yes", "crowd_no")), IMAGE_STATUS, QUERY_SPLITS
    )


def test_vote_counts_become_a_share_with_votes() -> None:
    checked = check_vote_counts("a.jpg,t1,2,1", "a.jpg,t2,,3", "a.jpg,t2,0,0", "a.jpg,t2,,")
    assert checked.ratings[["rating", "votes"]].round(3).values.tolist() == [[0.667, 3], [0.0, 3]]
    assert rejected(checked) == [[4, "img_id", "a.jpg", "no_rating"]]


@pytest.mark.parametrize("cells", ["x,1", "-1,2", "1.5,1", "99999999999,0", "inf,1"])
def test_invalid_vote_counts_are_rejected(cells: str) -> None:
    checked = check_vote_counts(f"a.jpg,t1,{cells}", "a.jpg,t2,1,0")
    assert rejected(checked) == [[1, "crowd_yes and crowd_no", cells.replace(",", " and "), "votes_invalid"]]
    assert len(checked.ratings) == 1


def check_long(*rows: str) -> CheckedRatings:
    frame = table("image_id,query_id,rater,rating,source", *rows)
    return check_ratings(RawLongRatings("ratings_long.csv", frame, NAMES), IMAGE_STATUS, QUERY_SPLITS)


def test_a_long_table_keeps_the_raters() -> None:
    checked = check_long(
        "a.jpg,t1,ann,4,expert", "a.jpg,t1,,2.0,expert", "a.jpg,t1,,2.0,expert", "a.jpg,t1,bob,Yes,crowd",
        "a.jpg,t2,bob,0,crowd",
    )  # fmt: skip
    columns = ["source", "rater", "rating", "scale_min", "scale_max", "votes"]
    assert checked.ratings[columns].fillna("-").values.tolist() == [
        ["expert", "ann", 4.0, 1.0, 4.0, 1],
        ["expert", "-", 2.0, 1.0, 4.0, 1],
        ["expert", "-", 2.0, 1.0, 4.0, 1],
        ["crowd", "bob", 1.0, 0.0, 1.0, 1],
        ["crowd", "bob", 0.0, 0.0, 1.0, 1],
    ]
    assert checked.quarantine.empty
    assert (checked.n_rows, checked.columns_identify_raters) == (5, None)


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        ("gone.jpg,t1,ann,4,expert", "img_id", "gone.jpg", "image_missing"),
        ("a.jpg,t2,ann,,expert", "rating", "", "no_rating"),
        ("a.jpg,t2,ann,4,friend", "source", "friend", "source_unknown"),
        ("a.jpg,t2,ann,5,expert", "rating", "5", "rating_out_of_scale"),
        ("a.jpg,t2,ann,yes,expert", "rating", "yes", "rating_not_a_number"),
        ("a.jpg,t2,ann,0.5,crowd", "rating", "0.5", "vote_not_yes_or_no"),
        ("a.jpg,t2,ann,maybe,crowd", "rating", "maybe", "vote_not_yes_or_no"),
        ("a.jpg,t2,ann,2/3,crowd", "rating", "2/3", "vote_not_yes_or_no"),
        ("a.jpg,t2,ann,2,crowd", "rating", "2", "rating_out_of_scale"),
        ("a.jpg,t1,ann,4,expert", "img_id", "a.jpg", "duplicate_row"),
    ],
)
def test_an_invalid_rating_of_a_long_table_is_rejected(row: str, column: str, value: str, rule: str) -> None:
    checked = check_long("a.jpg,t1,ann,4,expert", row, "a.jpg,t1,bob,1,crowd")
    assert rejected(checked) == [[2, column, value, rule]]
    assert len(checked.ratings) == 2


def test_a_later_rating_replaces_the_earlier_one_and_is_not_invalid() -> None:
    checked = check_long("a.jpg,t1,ann,4,expert", "a.jpg,t1,bob,4,expert", "a.jpg,t1,ann,2,expert")
    assert rejected(checked) == [[1, "rating", "4", "rated_again"]]
    assert checked.ratings[["rater", "rating"]].values.tolist() == [["bob", 4.0], ["ann", 2.0]]
    check_row_limit(checked.quarantine, checked.n_rows, 0.0)


def test_raters_named_null_are_unknown_and_their_equal_ratings_all_count() -> None:
    checked = check_long(*["a.jpg,t1,NULL,1,crowd"] * 3, "a.jpg,t1,nan,1,crowd", "a.jpg,t1,,1,crowd")
    assert checked.ratings["rating"].tolist() == [1.0] * 5
    assert checked.ratings["rater"].isna().all()
    assert checked.quarantine.empty


def test_rows_without_a_rating_are_counted_but_not_invalid() -> None:
    checked = check_long("a.jpg,t1,ann,N/A,expert", "a.jpg,t2,ann,не знаю,crowd", "a.jpg,t1,bob,3,expert")
    assert rejected(checked) == [[1, "rating", "N/A", "no_rating"], [2, "rating", "не знаю", "no_rating"]]
    check_row_limit(checked.quarantine, checked.n_rows, 0.0)


def test_blank_words_leave_the_other_ratings_of_the_row() -> None:
    checked = check_single_file("a.jpg,t1,N/A,4,-", "a.jpg,t2,#N/A,нет,1", "a.jpg,t2,-,None,NULL")
    assert checked.ratings[["query_id", "rating"]].values.tolist() == [["t1", 4.0], ["t2", 1.0]]
    assert rejected(checked) == [[3, "img_id", "a.jpg", "no_rating"]]


def test_a_minus_is_a_negative_vote_beside_a_plus() -> None:
    checked = check_long("a.jpg,t1,ann,+,crowd", "a.jpg,t1,bob,-,crowd", "a.jpg,t1,ann,-,expert")
    assert checked.ratings["rating"].tolist() == [1.0, 0.0]
    assert rejected(checked) == [[3, "rating", "-", "no_rating"]]


def test_the_later_time_decides_about_repeated_ratings() -> None:
    frame = table(
        "image_id,query_id,rater,rating,source,time",
        "a.jpg,t1,ann,2,expert,2024-03-02T10:00:00Z",
        "a.jpg,t1,ann,4,expert,2024-03-01T10:00:00Z",
    )
    checked = check_ratings(RawLongRatings("ratings_long.csv", frame, NAMES), IMAGE_STATUS, QUERY_SPLITS)
    assert rejected(checked) == [[2, "rating", "4", "rated_again"]]
    assert checked.rated_again_order == "time"


def check_judgements(columns: str, *rows: str) -> CheckedRatings:
    frame = table(f"image_id,query_id,rate_1,{columns}", *rows)
    return check_ratings(RawRatings("t.csv", frame, NAMES, ("rate_1",)), IMAGE_STATUS, QUERY_SPLITS)


def test_a_worker_column_identifies_the_raters_of_single_judgements() -> None:
    checked = check_judgements(
        "rater", "a.jpg,t1,4,w1", "a.jpg,t1,4,w2", "a.jpg,t1,4,w2", "a.jpg,t1,4,", "a.jpg,t1,4,N/A"
    )
    assert checked.ratings["rater"].fillna("-").tolist() == ["w1", "w2", "-", "-"]
    assert rejected(checked) == [[3, "img_id", "a.jpg", "duplicate_row"]]


def test_rows_that_differ_in_an_unread_column_are_no_duplicates() -> None:
    checked = check_judgements("rater,other_columns", "a.jpg,t1,4,w2,11", "a.jpg,t1,4,w2,12", "a.jpg,t1,4,w2,12")
    assert checked.ratings["rating"].tolist() == [4.0, 4.0]
    assert rejected(checked) == [[3, "img_id", "a.jpg", "duplicate_row"]]


def test_a_time_column_lets_later_judgements_replace_earlier_ones() -> None:
    rows = ("a.jpg,t1,4,w2,1709377140", "a.jpg,t1,3,w2,1709377139", "a.jpg,t1,2,w1,1709377138")
    checked = check_judgements("rater,time", *rows)
    assert checked.ratings[["rater", "rating"]].values.tolist() == [["w2", 4.0], ["w1", 2.0]]
    assert rejected(checked) == [[2, "rate_1", "3", "rated_again"]]


def test_each_row_can_have_its_own_scale() -> None:
    frame = table(
        "image_id,query_id,rater,rating,source,scale_min,scale_max",
        "a.jpg,t1,ann,4,expert,1,5",
        "a.jpg,t1,bob,4,expert,,",
        "a.jpg,t2,ann,80,expert,0,100",
        "a.jpg,t2,bob,9,expert,1,5",
        "a.jpg,t2,cat,3,expert,5,1",
        "a.jpg,t2,dan,3,expert,low,high",
    )
    checked = check_ratings(RawLongRatings("ratings_long.csv", frame, NAMES), IMAGE_STATUS, QUERY_SPLITS)
    assert checked.ratings[["rating", "scale_min", "scale_max"]].values.tolist() == [[4, 1, 5], [4, 1, 4], [80, 0, 100]]
    assert rejected(checked) == [
        [5, "scale_max", "1", "scale_invalid"],
        [6, "scale_max", "high", "scale_invalid"],
        [4, "rating", "9", "rating_out_of_scale"],
    ]


def test_ratings_outside_of_the_scale_are_logged_with_the_setting(caplog: pytest.LogCaptureFixture) -> None:
    check_single_file("a.jpg,t1,7,4,1")
    assert "t.csv: 1 expert ratings are outside of their scale and are rejected, such as 7 in row 1" in caplog.text
    assert "set ingest.rating_scale" in caplog.text


def test_shares_on_a_percent_scale_and_fractions_are_votes() -> None:
    frame = table("image_id,query_id,crowd_rates", "a.jpg,t1,50", "a.jpg,t1,2/4", "a.jpg,t2,50 %", "a.jpg,t2,yes")
    raw = RawRatings("t.csv", frame, NAMES, crowd_column="crowd_rates")
    checked = check_ratings(raw, IMAGE_STATUS, QUERY_SPLITS, crowd=(0, 100))
    assert checked.ratings[["rating", "scale_max", "votes"]].values.tolist() == [
        [50.0, 100.0, 1.0],
        [50.0, 100.0, 4.0],
        [50.0, 100.0, 1.0],
        [100.0, 100.0, 1.0],
    ]


def test_no_rows_give_no_ratings() -> None:
    assert check_long().ratings.empty
    assert check_vote_lists().ratings.empty
    assert check_vote_counts().ratings.empty
    assert check_single_file().ratings.empty
    assert check_crowd().ratings.empty


def test_sorted_columns_do_not_identify_raters() -> None:
    rng = np.random.default_rng(0)
    ratings = rng.integers(1, 5, (200, 3)).astype(float)
    assert columns_identify_raters(ratings)
    assert not columns_identify_raters(np.sort(ratings, axis=1))


def test_rater_identity_ignores_blank_and_equal_ratings() -> None:
    rng = np.random.default_rng(0)
    ordered = np.sort(rng.integers(1, 5, (100, 3)).astype(float), axis=1)
    blank, equal, shuffled = np.array([[4.0, np.nan, 1.0]]), np.ones((500, 3)), np.array([[4.0, 1.0, 2.0]])
    assert not columns_identify_raters(np.vstack([ordered, np.repeat(blank, 50, axis=0), shuffled]))
    assert columns_identify_raters(np.vstack([ordered, equal, np.repeat(shuffled, 10, axis=0)]))
    assert columns_identify_raters(ordered[:19])
    assert columns_identify_raters(ordered[:, :2])


def test_raters_of_sorted_columns_are_unknown() -> None:
    rng = np.random.default_rng(0)
    rates = np.sort(rng.integers(1, 5, (60, 3)), axis=1)
    rows = [f"a.jpg,t1,{','.join(map(str, row))},{number}" for number, row in enumerate(rates)]
    frame = table("image_id,query_id,rate_1,rate_2,rate_3,unread", *rows)
    checked = check_ratings(RawRatings("e.tsv", frame, {}, ("rate_1", "rate_2", "rate_3")), IMAGE_STATUS, QUERY_SPLITS)
    assert checked.columns_identify_raters is False
    assert checked.ratings["rater"].isna().all()
    assert len(checked.ratings) == 180


def make_quarantine(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=QUARANTINE.names)


def test_too_many_invalid_rows_are_an_error_with_examples() -> None:
    invalid = make_quarantine(
        *(("t.csv", row, "text", "", "text_empty", "row") for row in (3, 5, 7, 9)),
        ("t.csv", 9, "rate_1", "7", "rating_out_of_scale", "row"),
    )
    check_row_limit(invalid, 40, 0.1)
    with pytest.raises(TooManyInvalidError) as error:
        check_row_limit(invalid, 39, 0.1)
    message = str(error.value)
    assert "4 of 39 rating rows are invalid (10.3%), expected at most 10.0% (ingest.max_bad_rows)" in message
    assert (
        "text_empty (4): t.csv, row 3: text is ''; t.csv, row 5: text is ''; t.csv, row 7: text is ''; ..." in message
    )
    assert "rating_out_of_scale (1): t.csv, row 9: rate_1 is '7'. Set ingest.rating_scale" in message
    assert "increase ingest.max_bad_rows" not in message


def test_only_stray_invalid_rows_recommend_a_higher_limit() -> None:
    rules = ("text_empty", "rating_not_a_number", "image_missing")
    invalid = make_quarantine(*(("t.csv", row, "text", "?", rule, "row") for row, rule in enumerate(rules, start=1)))
    with pytest.raises(TooManyInvalidError, match=r"Correct the input, or increase ingest\.max_bad_rows\."):
        check_row_limit(invalid, 20, 0.1)
    with pytest.raises(TooManyInvalidError, match="A higher limit would reject these entries"):
        check_row_limit(invalid, 10, 0.1)


def test_images_of_another_split_are_not_invalid() -> None:
    invalid = make_quarantine(
        ("corpus_images/a.jpg", None, None, None, "image_in_train", "image"),
        ("corpus_images/b.jpg", None, None, None, "truncated", "image"),
    )
    check_image_limit(invalid, 10, 0.1)
    with pytest.raises(TooManyInvalidError, match=r"1 of 9 images .*\n  truncated \(1\): corpus_images/b.jpg"):
        check_image_limit(invalid, 9, 0.1)
