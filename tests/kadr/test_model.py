"""The relevance model: it can learn, is the same twice, and refuses what it was not trained on."""

from pathlib import Path

import numpy as np
import pytest

from kadr.errors import ModelError, ParamsError
from kadr.features import Images, Texts
from kadr.model import FeatureBlocks, RelevanceModel
from kadr.model.lightgbm import Learner
from kadr.model.target import Calibration, choose_target, ridit
from kadr.params import TrainParams, load_params

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(20, 4)).astype(np.float32)
RELEVANCE = np.linspace(0.0, 1.0, 20)
ALL = np.arange(20)
ONES = np.ones(20)


@pytest.fixture
def eager(project: Path) -> TrainParams:
    """Settings under which trees may learn every row by heart."""
    update = {"n_estimators": 300, "learning_rate": 0.2, "min_data_in_leaf": 1, "lambda_l2": 0.0, "num_leaves": 31}
    update |= {
        "bagging_fraction": 1.0,
        "feature_fraction": 1.0,
        "max_bin": 255,
        "num_threads": 1,
        "target": "relevance",
    }
    return load_params(project / "params.yaml").train.model_copy(update=update)


def test_it_overfits_20_rows(eager: TrainParams) -> None:
    scores = Learner(VALUES, RELEVANCE, ONES, ALL, eager, seed=0).fit_predict(ALL, ALL)
    np.testing.assert_allclose(scores, RELEVANCE, atol=0.05)


def test_it_overfits_the_order_of_20_rows_but_trusts_no_noise(eager: TrainParams) -> None:
    settings = eager.model_copy(update={"target": "ridit"})
    scores = Learner(VALUES, RELEVANCE, ONES, ALL, settings, seed=0).fit_predict(ALL, ALL)
    assert np.argsort(scores).tolist() == ALL.tolist()
    np.testing.assert_allclose(scores, RELEVANCE.mean(), atol=0.2)  # the features say nothing of rows held out


def test_scores_are_probabilities_and_the_same_twice(eager: TrainParams) -> None:
    first, second = (Learner(VALUES, RELEVANCE, ONES, ALL, eager, seed=7).fit_predict(ALL[:15], ALL) for _ in range(2))
    assert ((first >= 0) & (first <= 1)).all()
    np.testing.assert_array_equal(first, second)


def test_nothing_to_train_on(eager: TrainParams) -> None:
    with pytest.raises(ModelError, match="no pair to train on"):
        Learner(VALUES, RELEVANCE, ONES, ALL, eager, seed=0).fit(ALL[:0])


def test_saved_and_loaded_is_the_same(eager: TrainParams, tmp_path: Path) -> None:
    images = Images(["a", "b"], {"clip": np.eye(2, dtype=np.float32)})
    texts = Texts(["q"], ["a dog"], {"clip": np.eye(2, dtype=np.float32)[:1]})
    regressor = Learner(VALUES[:, :2].copy(), RELEVANCE, ONES, ALL, eager, seed=0).fit(ALL)
    model = RelevanceModel(FeatureBlocks(["product"], None), ["product:clip.0", "product:clip.1"], regressor)
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


def test_ridit_is_the_share_of_pairs_below() -> None:
    relevance = np.array([0.0, 1.0, 0.0, 0.2])
    np.testing.assert_allclose(ridit(relevance, np.ones(4)), [0.25, 0.875, 0.25, 0.625])
    np.testing.assert_allclose(ridit(relevance, np.array([1.0, 2.0, 1.0, 4.0])), [0.125, 0.875, 0.125, 0.5])
    assert ridit(np.empty(0), np.empty(0)).shape == (0,)


def test_an_unknown_target_is_a_clear_error() -> None:
    with pytest.raises(ParamsError, match=r"train.target: got 'rank', wanted one of relevance, ridit"):
        choose_target("rank")


def test_calibration_finds_the_relevance_and_keeps_the_order() -> None:
    score = np.linspace(0.01, 0.99, 500)
    relevance = score**2 / (score**2 + 3 * (1 - score))  # a = 2, b = 1, c = -ln 3
    fitted = Calibration.fit(score, relevance, np.ones(500))
    np.testing.assert_allclose(fitted(score), relevance, atol=0.01)
    against = Calibration.fit(score, 1.0 - relevance, np.ones(500))  # even where people say the contrary
    assert (np.diff(against(score)) > 0).all()
    np.testing.assert_array_equal(Calibration()(score), score)


def test_ridits_come_back_as_relevance(eager: TrainParams) -> None:
    values = RNG.normal(size=(2000, 1)).astype(np.float32)
    relevance = 0.1 + 0.8 / (1 + np.exp(-2 * (values[:, 0].astype(float) - 2)))  # most pairs are of low relevance
    update = {"target": "ridit", "n_estimators": 50, "min_data_in_leaf": 20}
    learner = Learner(values, relevance, np.ones(2000), np.arange(2000) // 4, eager.model_copy(update=update), seed=0)
    score = learner.fit_predict(np.arange(1000), np.arange(1000, 2000))
    assert np.sqrt(np.mean((score - relevance[1000:]) ** 2)) < 0.1 * relevance.std() + 0.02
