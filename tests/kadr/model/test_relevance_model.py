"""Tests of the LightGBM learner, and of saving and loading the relevance model."""

import json
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
ALL_ROWS = np.arange(20)


@pytest.fixture
def overfitting_params(project: Path) -> TrainParams:
    """Settings with which the trees memorise every row."""
    update = {"n_estimators": 300, "learning_rate": 0.2, "min_data_in_leaf": 1, "lambda_l2": 0.0, "num_leaves": 31}
    update |= {"bagging_fraction": 1.0, "feature_fraction": 1.0, "max_bin": 255, "num_threads": 1}
    return load_params(project / "params.yaml").train.model_copy(update=update)


@pytest.fixture
def model(overfitting_params: TrainParams) -> RelevanceModel:
    booster = Learner(VALUES[:, :2].copy(), RELEVANCE, np.ones(20), overfitting_params, seed=0).fit(ALL_ROWS)
    return RelevanceModel(FeatureBlocks(["product"], None), ["product:clip.0", "product:clip.1"], booster)


@pytest.mark.parametrize("objective", get_args(Objective))
def test_every_objective_overfits_20_rows(overfitting_params: TrainParams, objective: str) -> None:
    params = overfitting_params.model_copy(update={"objective": objective})
    scores = Learner(VALUES, RELEVANCE, np.ones(20), params, seed=0).fit_predict(ALL_ROWS, ALL_ROWS)
    np.testing.assert_allclose(scores, RELEVANCE, atol=0.05)


@pytest.mark.parametrize("objective", get_args(Objective))
def test_scores_are_in_0_to_1_and_reproducible(overfitting_params: TrainParams, objective: str) -> None:
    params, binary = overfitting_params.model_copy(update={"objective": objective}), RELEVANCE.round()
    first, second = (
        Learner(VALUES, binary, np.ones(20), params, seed=7).fit_predict(ALL_ROWS[:15], ALL_ROWS) for _ in range(2)
    )
    assert ((first >= 0) & (first <= 1)).all()
    np.testing.assert_array_equal(first, second)


def test_training_without_rows_raises_an_error(overfitting_params: TrainParams) -> None:
    with pytest.raises(ModelError, match="No pairs are left for training"):
        Learner(VALUES, RELEVANCE, np.ones(20), overfitting_params, seed=0).fit(ALL_ROWS[:0])


def test_a_loaded_model_gives_the_same_predictions(model: RelevanceModel, tmp_path: Path) -> None:
    images = Images(["a", "b"], {"clip": np.eye(2, dtype=np.float32)})
    texts = Texts(["q"], ["a dog"], {"clip": np.eye(2, dtype=np.float32)[:1]})
    image_rows, text_rows = np.array([0, 1]), np.array([0, 0])
    model.save(tmp_path)
    loaded = RelevanceModel.load(tmp_path)
    expected = model.predict(images, texts, image_rows, text_rows)
    np.testing.assert_allclose(loaded.predict(images, texts, image_rows, text_rows), expected)
    assert loaded.importance() == pytest.approx({"product": 1.0})


def test_vectors_of_another_dimension_raise_an_error(model: RelevanceModel) -> None:
    vectors = {"clip": np.ones((1, 1), np.float32)}
    row = np.array([0])
    with pytest.raises(ModelError, match=r"\(1 features\) differ from .*\(2 features\)"):
        model.predict(Images(["a"], vectors), Texts(["q"], ["x"], vectors), row, row)


def test_loading_a_missing_model_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the relevance model"):
        RelevanceModel.load(tmp_path)


def test_loading_damaged_trees_raises_an_error(model: RelevanceModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    trees = (tmp_path / "model.txt").read_bytes()
    for damaged in (trees[: len(trees) // 2], trees.replace(b"leaf_value=", b"leaf_value=1", 1), b""):
        (tmp_path / "model.txt").write_bytes(damaged)
        with pytest.raises(ModelError, match=r"cannot read the relevance model .*damaged.*dvc repro train"):
            RelevanceModel.load(tmp_path)


def test_loading_a_model_with_an_unknown_block_asks_for_a_new_training(model: RelevanceModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"blocks": ["cosine", "captioned"]}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"uses the feature block captioned, .*dvc repro train"):
        RelevanceModel.load(tmp_path)
