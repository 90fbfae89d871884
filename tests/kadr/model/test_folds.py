"""Folds: no training pair shares a photo or a text with a test pair."""

import numpy as np
import pytest

from kadr.errors import ModelError
from kadr.io.query_groups import query_groups
from kadr.model.cross_validation import mean_baseline, out_of_fold
from kadr.model.folds import assign_folds, cells, image_cells

RNG = np.random.default_rng(0)
IMAGES = [f"image{i}" for i in RNG.integers(30, size=400)]
QUERIES = [f"query{i}" for i in RNG.integers(40, size=400)]


def test_groups_stay_together_and_folds_are_even() -> None:
    folds = assign_folds(IMAGES, 5, seed=1)
    fold_of = dict(zip(IMAGES, folds.tolist(), strict=True))
    assert all(fold_of[image] == fold for image, fold in zip(IMAGES, folds, strict=True))
    assert set(np.bincount(list(fold_of.values()))) == {6}


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    order = RNG.permutation(len(IMAGES))
    shuffled = assign_folds([IMAGES[i] for i in order], 5, seed=1)
    np.testing.assert_array_equal(shuffled, assign_folds(IMAGES, 5, seed=1)[order])


def test_every_pair_is_tested_once_and_never_beside_its_photo_or_text() -> None:
    grid = list(cells(assign_folds(IMAGES, 5, seed=1), assign_folds(QUERIES, 4, seed=2)))
    assert [cell.fold for cell in grid] == list(range(20))
    np.testing.assert_array_equal(sum(cell.test.astype(int) for cell in grid), np.ones(len(IMAGES)))
    for cell in grid:
        for names in (np.array(IMAGES), np.array(QUERIES)):
            assert not set(names[cell.test]) & set(names[cell.train])


def test_every_pair_is_tested_once_without_its_photo_where_its_text_may_be_seen() -> None:
    grid = list(image_cells(assign_folds(IMAGES, 5, seed=1)))
    assert [cell.fold for cell in grid] == list(range(5))
    np.testing.assert_array_equal(sum(cell.test.astype(int) for cell in grid), np.ones(len(IMAGES)))
    images, queries = np.array(IMAGES), np.array(QUERIES)
    for cell in grid:
        np.testing.assert_array_equal(cell.train, ~cell.test)
        assert not set(images[cell.test]) & set(images[cell.train])
        assert set(queries[cell.test]) & set(queries[cell.train])
    assert list(image_cells(np.zeros(3, dtype=np.int32))) == []


def test_the_diagonal_is_that_of_the_folds_that_exist() -> None:
    image_folds, query_folds = assign_folds(IMAGES, 5, seed=1), assign_folds([q[-1] for q in QUERIES], 5, seed=2)
    three = query_folds[query_folds < 3]
    found = {cell.fold: cell for cell in cells(image_folds[query_folds < 3], three) if cell.on_diagonal}
    assert list(found) == [0, 4, 8]
    for number, cell in enumerate(found.values()):
        assert set(three[cell.test]) == {number}


def test_texts_written_for_one_photo_are_one_group() -> None:
    own = {"q1": "a.jpg", "q2": "a.jpg"}
    assert query_groups(["q1", "q2", "q3", "q4"], own) == ["a.jpg", "a.jpg", "q3", "q4"]


def test_out_of_fold_mean_knows_only_the_training_pairs() -> None:
    images, queries = np.array([0, 1], dtype=np.int32), np.array([0, 1], dtype=np.int32)
    relevance = np.array([0.0, 1.0])
    scores, fold = out_of_fold(mean_baseline(relevance, np.ones(2)), cells(images, queries), 2)
    np.testing.assert_array_equal(scores, [1.0, 0.0])
    np.testing.assert_array_equal(fold, [0, 3])


def test_pairs_that_cannot_be_held_out_are_an_error() -> None:
    images, queries = np.array([0, 1], dtype=np.int32), np.array([0, 0], dtype=np.int32)
    with pytest.raises(ModelError, match="2 of 2 pairs cannot be held out"):
        out_of_fold(mean_baseline(np.ones(2), np.ones(2)), cells(images, queries), 2)
