"""Test the split of rated pairs between CLIP training and the relevance model."""

import itertools

import pandas as pd

from kadr.aggregate import CLIP, MODEL, UNUSED, split_pairs


def grid(n: int) -> pd.DataFrame:
    pairs = itertools.product(range(n), range(n))
    return pd.DataFrame([(f"{i}.jpg", f"t{j}") for i, j in pairs], columns=["image_id", "query_id"])


def test_no_image_or_query_is_on_both_sides() -> None:
    pairs = grid(40)
    side = split_pairs(pairs, {}, 0.4, seed=0)
    clip, model = pairs[side == CLIP], pairs[side == MODEL]
    for column in pairs:
        assert not set(clip[column]) & set(model[column])
    assert set(side) == {CLIP, MODEL, UNUSED}


def test_a_share_of_zero_leaves_all_pairs_to_the_model() -> None:
    assert set(split_pairs(grid(5), {}, 0.0, seed=0)) == {MODEL}


def test_queries_of_the_same_image_are_on_the_same_side() -> None:
    pairs = grid(40)
    caption_images = {f"t{j}": f"{j // 5}.jpg" for j in range(40)}
    side = split_pairs(pairs, caption_images, 0.5, seed=0)
    image = pairs["query_id"].map(caption_images)
    n_sides = side[side != UNUSED].groupby(image).nunique()
    assert n_sides.eq(1).all()
    assert side[side != UNUSED].nunique() == 2


def test_existing_pairs_keep_their_side_when_pairs_are_added() -> None:
    few, many = grid(10), grid(20)
    side = dict(zip(many.itertuples(index=False, name=None), split_pairs(many, {}, 0.4, seed=0), strict=True))
    assert [side[pair] for pair in few.itertuples(index=False, name=None)] == split_pairs(few, {}, 0.4, seed=0).tolist()


def test_another_seed_gives_another_split() -> None:
    assert not split_pairs(grid(20), {}, 0.4, seed=0).equals(split_pairs(grid(20), {}, 0.4, seed=1))
