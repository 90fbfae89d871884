"""Tests for the metric rows and the run summary: available metrics, intervals, baselines and data sizes."""

from kadr.report.metric_rows import MetricCell, make_metric_rows
from kadr.report.run_summary import list_numbers, summarise_run
from tests.kadr.report.literal_tables import EVALUATE


def test_rows_contain_only_the_available_metrics() -> None:
    rows = {row.key: row.cells for row in make_metric_rows(EVALUATE)}
    assert list(rows) == ["tau_c", "rmse", "ece", "recall_at_5"]
    assert rows["tau_c"]["model"] == MetricCell("48.9", "47.1 to 50.6")
    assert rows["tau_c"]["ceiling"] == MetricCell("70.6", "69.0 to 72.0")
    assert rows["rmse"]["cosine"] is None
    assert rows["tau_c"]["concat"] is None
    assert make_metric_rows({}) == []


def test_the_summary_counts_the_data() -> None:
    ingest = {
        "photos": {"train": {"ok": 599, "truncated": 1}, "test": {"ok": 60}, "corpus": {}},
        "queries": {"train": 1200, "test": 300},
        "ratings": {"crowd": 10, "expert": 20},
        "set_aside": {"row": {"rating": 2}, "image": {"photo": 1}},
        "image_names": {"exact": 500, "leading_zeros": 7, "url": 2, "missing": 1},
        "passed_over": {"train_images": {"thumbnail cache": 1, ".txt": 3}, "test_images": {}},
        "rating_scales": {
            "expert": {"minimum": 0.0, "maximum": 5.0, "chosen_by": "auto", "reason": "every step is used"},
            "crowd": {"minimum": 0.0, "maximum": 1.0, "chosen_by": "default", "reason": "no numbers"},
        },
    }
    values = {value.name: (value.value, value.note) for value in summarise_run({"ingest": ingest})}
    assert values == {
        "images": ("659", "599 train, 60 test"),
        "queries": ("1,500", "1,200 train, 300 test"),
        "ratings": ("30", "10 crowd, 20 expert"),
        "quarantined": ("3", "2 row, 1 image"),
        "image names in another form": ("9", "7 leading zeros, 2 url"),
        "files passed over": ("4", "4 train_images"),
        "scale of the expert ratings": ("0 to 5", "every step is used"),
    }


def test_the_summary_compares_the_model_with_baselines_and_human_raters() -> None:
    values = {value.name: value for value in summarise_run({"evaluate": EVALUATE})}
    assert values["tau-c"].note == "47.1 to 50.6; cosine 46.8; other experts 55.0; human ceiling 70.6"
    assert (values["tau-c above cosine"].value, values["tau-c above cosine"].note) == ("+2.1", "+1.0 to +3.0")
    human = values["share of human agreement"]
    assert human.value == "89 %"
    assert human.note == "86 to 91; tau-c with individual expert ratings: model 48.9, other experts 55.0"


def test_the_summary_omits_missing_stages_and_metrics() -> None:
    assert [value.name for value in summarise_run({"evaluate": {"tau_c": EVALUATE["tau_c"]}})] == ["tau-c"]
    assert summarise_run({}) == []


def test_only_numbers_are_listed() -> None:
    metrics = {"n_pairs": 1200, "alpha": 0.5, "list": [1], "none": None, "flag": True, "nested": {"key": 1.0}}
    assert [(value.name, value.value) for value in list_numbers(metrics)] == [
        ("pairs", "1,200"),
        ("alpha", "0.500"),
        ("nested key", "1.000"),
    ]
