"""The relevance model: it can learn, is the same twice, and refuses what it was not trained on."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from kadr.errors import ModelError
from kadr.features import Images, Texts
from kadr.model import FeatureBlocks, RelevanceModel
from kadr.model.lightgbm import Learner
from kadr.params import Objective, TrainParams, load_params

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(20, 4)).astype(np.float32)
RELEVANCE = np.linspace(0.0, 1.0, 20)
ALL = np.arange(20)


@pytest.fixture
def eager(project: Path) -> TrainParams:
    """Settings under which trees may learn every row by heart."""
    update = {"n_estimators": 300, "learning_rate": 0.2, "min_data_in_leaf": 1, "lambda_l2": 0.0, "num_leaves": 31}
    update |= {"bagging_fraction": 1.0, "feature_fraction": 1.0, "max_bin": 255, "num_threads": 1}
    return load_params(project / "params.yaml").train.model_copy(update=update)


@pytest.mark.parametrize("objective", get_args(Objective))
def test_it_overfits_20_rows(eager: TrainParams, objective: str) -> None:
    params = eager.model_copy(update={"objective": objective})
    scores = Learner(VALUES, RELEVANCE, np.ones(20), params, seed=0).fit_predict(ALL, ALL)
    np.testing.assert_allclose(scores, RELEVANCE, atol=0.05)


@pytest.mark.parametrize("objective", get_args(Objective))
def test_scores_are_probabilities_and_the_same_twice(eager: TrainParams, objective: str) -> None:
    params, yes_or_no = eager.model_copy(update={"objective": objective}), RELEVANCE.round()
    first, second = (
        Learner(VALUES, yes_or_no, np.ones(20), params, seed=7).fit_predict(ALL[:15], ALL) for _ in range(2)
    )
    assert ((first >= 0) & (first <= 1)).all()
    np.testing.assert_array_equal(first, second)


def test_nothing_to_train_on(eager: TrainParams) -> None:
    with pytest.raises(ModelError, match="no pair to train on"):
        Learner(VALUES, RELEVANCE, np.ones(20), eager, seed=0).fit(ALL[:0])


def test_saved_and_loaded_is_the_same(eager: TrainParams, tmp_path: Path) -> None:
    images = Images(["a", "b"], {"clip": np.eye(2, dtype=np.float32)})
    texts = Texts(["q"], ["a dog"], {"clip": np.eye(2, dtype=np.float32)[:1]})
    booster = Learner(VALUES[:, :2].copy(), RELEVANCE, np.ones(20), eager, seed=0).fit(ALL)
    model = RelevanceModel(FeatureBlocks(["product"], None), ["product:clip.0", "product:clip.1"], booster)
    model.save(tmp_path)
    loaded = RelevanceModel.load(tmp_path)
    rows, query = np.array([0, 1]), np.array([0, 0])
    np.testing.assert_allclose(loaded.predict(images, texts, rows, query), model.predict(images, texts, rows, query))
    assert loaded.importance() == pytest.approx({"product": 1.0})
    with pytest.raises(ModelError, match=r"have 1 features, the model has 2: embed them"):
        loaded.predict(
            Images(["a"], {"clip": np.ones((1, 1), np.float32)}),
            Texts(["q"], ["x"], {"clip": np.ones((1, 1), np.float32)}),
            query[:1],
            query[:1],
        )


def test_no_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no readable relevance model"):
        RelevanceModel.load(tmp_path)


def test_half_a_model_and_another_ones_trees_are_refused(eager: TrainParams, tmp_path: Path) -> None:
    booster = Learner(VALUES[:, :2].copy(), RELEVANCE, np.ones(20), eager, seed=0).fit(ALL)
    RelevanceModel(FeatureBlocks(["product"], None), ["product:clip.0", "product:clip.1"], booster).save(tmp_path)
    trees = (tmp_path / "model.txt").read_bytes()
    for damaged in (trees[: len(trees) // 2], trees.replace(b"leaf_value=", b"leaf_value=1", 1), b""):
        (tmp_path / "model.txt").write_bytes(damaged)
        with pytest.raises(ModelError, match=r"no readable relevance model .*damaged.*dvc repro train"):
            RelevanceModel.load(tmp_path)
