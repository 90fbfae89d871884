"""Small tables and metrics as inputs for the report tests."""

import pandas as pd

EVALUATE = {
    "tau_c": {"value": 48.91, "low": 47.1, "high": 50.6},
    "tau_b": None,
    "rmse": {"value": 0.2, "low": 0.1, "high": 0.3},
    "ece": {"value": 0.02, "low": 0.01, "high": 0.03},
    "recall_at_5": {"value": 0.75, "low": 0.7, "high": 0.8},
    "baselines": {"cosine": {"tau_c": {"value": 46.8, "low": 45.0, "high": 48.0}, "rmse": None}, "concat": {}},
    "differences": {"cosine": {"tau_c": {"value": 2.11, "low": 1.0, "high": 3.0}}, "concat": {}},
    "human": {
        "tau_c": {"value": 55.0, "low": 53.0, "high": 57.0},
        "model": {"value": 48.9, "low": 47.0, "high": 50.0},
        "share": {"value": 88.9, "low": 86.0, "high": 91.0},
    },
    "ceiling": {"tau_c": {"value": 70.6, "low": 69.0, "high": 72.0}},
}
PREDICTIONS = pd.DataFrame(
    {
        "image_id": ["a", "a", "b", "c"],
        "query_id": ["1", "2", "1", "1"],
        "relevance": [1.0, 0.9, 0.8, 0.0],
        "score": [0.9, 0.8, 0.1, 0.2],
        "fold": [0, 1, 0, 1],
    }
)
RATINGS = pd.DataFrame(
    [
        ("a", "1", "expert", 4.0, 1.0, 4.0, 1),
        ("a", "1", "expert", 3.0, 1.0, 4.0, 1),
        ("c", "1", "expert", 1.0, 1.0, 4.0, 1),
        ("a", "1", "crowd", 1.0, 0.0, 1.0, 2),
        ("a", "1", "crowd", 0.0, 0.0, 1.0, 2),
        ("c", "1", "crowd", 0.0, 0.0, 1.0, 3),
    ],
    columns=["image_id", "query_id", "source", "rating", "scale_min", "scale_max", "votes"],
)
CROWD_RATINGS = RATINGS[RATINGS["source"] == "crowd"]
RELEVANCE = PREDICTIONS[["image_id", "query_id", "relevance"]]
RELEVANCE_WITH_SD = pd.DataFrame(
    [("a", "1", 0.9, 1.0, 2, 4, 0.4, 0.1), ("c", "1", 0.1, 0.3, 1, 3, 0.0, 0.2)],
    columns=["image_id", "query_id", "relevance", "weight", "n_expert", "n_crowd", "spread", "sd"],
)
AGGREGATE = {
    "n_pairs": 1200,
    "agreement": {
        "krippendorff_alpha": 0.7046,
        "icc": None,
        "sd": {"before": 0.3, "after_one_expert": 0.13},
        "crowd_by_expert": {"0.00": {"no": 3, "split": 0, "yes": 1}},
        "raters": {"ann": {"n_ratings": 10, "leniency": -0.1, "lapses": 0.02, "noise": 0.2}},
    },
}
