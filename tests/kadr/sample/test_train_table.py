"""Tests for simulated ratings: expert bias, crowd imbalance, and the number of ratings per image and text."""

import numpy as np
import pandas as pd
import pytest

from kadr.sample.split_images import make_images
from kadr.sample.train_table import make_train_table

N_IMAGES = 200
EXPERT_COLUMNS = ["rate_1", "rate_2", "rate_3"]


@pytest.fixture(scope="module")
def ratings() -> pd.DataFrame:
    """Return simulated ratings of 200 images by experts and the crowd, with the true relevance of each pair."""
    table = make_train_table(make_images(0, "train", N_IMAGES), seed=0)
    return pd.DataFrame(
        {
            "img_id": row.img_id,
            "text": row.text,
            **dict(zip(EXPERT_COLUMNS, row.ratings or (np.nan,) * 3, strict=True)),
            "crowd": np.nan if row.crowd is None else row.crowd,
            "relevance": table.relevances[row.img_id, row.text],
        }
        for row in table.rows
    )


def test_the_second_expert_is_lenient_and_the_third_is_careless(ratings: pd.DataFrame) -> None:
    expert = ratings.dropna(subset=EXPERT_COLUMNS)
    assert expert["rate_2"].mean() - expert["rate_1"].mean() > 0.2
    correlations = expert[[*EXPERT_COLUMNS, "relevance"]].corr("spearman")["relevance"]
    assert correlations["rate_3"] < min(correlations["rate_1"], correlations["rate_2"]) - 0.1
    assert correlations["rate_1"] > 0.8
    assert set(expert[EXPERT_COLUMNS].to_numpy().ravel()) == {1, 2, 3, 4}


def test_the_crowd_rarely_votes_yes_and_is_mostly_correct(ratings: pd.DataFrame) -> None:
    crowd = ratings[ratings["rate_1"].isna()]
    assert 0.8 < (crowd["crowd"] == 0).mean() < 0.95
    assert crowd.loc[crowd["relevance"] == 1, "crowd"].mean() > 0.7
    assert 0.3 < ratings.loc[ratings["rate_1"].notna(), "crowd"].notna().mean() < 0.5
    assert not ratings.duplicated(["img_id", "text"]).any()


def test_every_text_and_every_image_is_rated_several_times(ratings: pd.DataFrame) -> None:
    assert ratings.groupby("text").size().min() > 3
    assert ratings.groupby("img_id").size().min() > 3
    assert ratings["text"].nunique() == pytest.approx(N_IMAGES * 7 / 6, abs=3)
