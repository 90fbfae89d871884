"""Tests of the cross-validation folds and out-of-fold scores."""

import numpy as np
import pytest

from kadr.errors import ModelError
from kadr.io.query_groups import query_groups
from kadr.model.cross_validation import mean_baseline, out_of_fold
from kadr.model.folds import assign_folds, grid_cells, image_cells

RNG = np.random.default_rng(0)
IMAGES = [f"image{i}" for i in RNG.integers(30, size=400)]
QUERIES = [f"query{i}" for i in RNG.integers(40, size=400)]


def test_folds_keep_groups_together_and_have_equal_sizes() -> None:
    folds = assign_folds(IMAGES, 5, seed=1)
    fold_by_image = dict(zip(IMAGES, folds.tolist(), strict=True))
    assert all(fold_by_image[image] == fold for image, fold in zip(IMAGES, folds, strict=True))
    assert set(np.bincount(list(fold_by_image.values()))) == {6}


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    order = RNG.permutation(len(IMAGES))
    shuffled = assign_folds([IMAGES[i] for i in order], 5, seed=1)
    np.testing.assert_array_equal(shuffled, assign_folds(IMAGES, 5, seed=1)[order])


def test_grid_cells_test_each_pair_once_without_its_image_and_query_in_training() -> None:
    cells = list(grid_cells(assign_folds(IMAGES, 5, seed=1), assign_folds(QUERIES, 4, seed=2)))
    assert [cell.fold for cell in cells] == list(range(20))
    np.testing.assert_array_equal(sum(cell.test.astype(int) for cell in cells), np.ones(len(IMAGES)))
    for cell in cells:
        for names in (np.array(IMAGES), np.array(QUERIES)):
            assert not set(names[cell.test]) & set(names[cell.train])


def test_image_cells_test_each_pair_once_without_its_image_but_with_its_query_in_training() -> None:
    cells = list(image_cells(assign_folds(IMAGES, 5, seed=1)))
    assert [cell.fold for cell in cells] == list(range(5))
    np.testing.assert_array_equal(sum(cell.test.astype(int) for cell in cells), np.ones(len(IMAGES)))
    images, queries = np.array(IMAGES), np.array(QUERIES)
    for cell in cells:
        np.testing.assert_array_equal(cell.train, ~cell.test)
        assert not set(images[cell.test]) & set(images[cell.train])
        assert set(queries[cell.test]) & set(queries[cell.train])


def test_a_single_image_fold_gives_no_cell() -> None:
    assert list(image_cells(np.zeros(3, dtype=np.int32))) == []


def test_the_diagonal_has_one_cell_per_query_fold_if_query_folds_are_fewer() -> None:
    image_folds, query_folds = assign_folds(IMAGES, 5, seed=1), assign_folds([q[-1] for q in QUERIES], 5, seed=2)
    selected = query_folds < 3
    diagonal = [cell for cell in grid_cells(image_folds[selected], query_folds[selected]) if cell.on_diagonal]
    assert [cell.fold for cell in diagonal] == [0, 4, 8]
    for number, cell in enumerate(diagonal):
        assert set(query_folds[selected][cell.test]) == {number}


def test_queries_written_for_the_same_image_share_a_group() -> None:
    own_image = {"q1": "a.jpg", "q2": "a.jpg"}
    assert query_groups(["q1", "q2", "q3", "q4"], own_image) == ["a.jpg", "a.jpg", "q3", "q4"]


def test_out_of_fold_scores_come_from_the_training_pairs_of_the_cell() -> None:
    images, queries = np.array([0, 1], dtype=np.int32), np.array([0, 1], dtype=np.int32)
    baseline = mean_baseline(np.array([0.0, 1.0]), np.ones(2))
    scores, fold = out_of_fold(baseline, grid_cells(images, queries), 2)
    np.testing.assert_array_equal(scores, [1.0, 0.0])
    np.testing.assert_array_equal(fold, [0, 3])


def test_pairs_that_cannot_be_held_out_raise_an_error() -> None:
    images, queries = np.array([0, 1], dtype=np.int32), np.array([0, 0], dtype=np.int32)
    with pytest.raises(ModelError, match="2 of 2 pairs cannot be held out"):
        out_of_fold(mean_baseline(np.ones(2), np.ones(2)), grid_cells(images, queries), 2)
