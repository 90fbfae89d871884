"""Whether step two of a search helps: the order by the relevance model less that by the cosine, paired, with intervals.

`python benchmarks/rerank.py` in a project whose pipeline has run prints one JSON object:
- test_queries: each test text searches the test photos for its own; the first N by cosine are reordered.
- rated_pairs: each text's rated photos by held-out predictions; NDCG@10 with the people's relevance as gain.
An interval that lies above 0 says that step two helps; one that holds 0 that it makes no difference that can be seen.
"""

import argparse
import json

import numpy as np
import pandas as pd

from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, PREDICTIONS, QUERIES, read_table
from kadr.metrics import bootstrap
from kadr.model import RelevanceModel
from kadr.params import Params, load_params
from kadr.project import PROJECT

PLACES = 10


def difference(gains: np.ndarray, names: list[str], params: Params) -> dict[str, float]:
    """The mean of paired differences with the interval over resampled texts or photos."""
    mean = bootstrap(
        lambda rows: float(gains[rows].mean()),
        names,
        params.evaluate.n_bootstrap,
        params.evaluate.confidence,
        params.seed,
    )
    if mean is None:
        raise SystemExit("there is nothing to compare")
    return {key: round(getattr(mean, key), 4) for key in ("value", "low", "high")}


def test_queries(params: Params, depths: list[int]) -> dict[str, dict[str, dict[str, float]]]:
    """Depth of the reordering -> figure -> difference to the order by cosine."""
    images = read_table(PROJECT.images, IMAGES).to_pandas()
    ids = images.loc[(images["split"] == "test") & (images["status"] == "ok"), "image_id"].tolist()
    queries = read_table(PROJECT.queries, QUERIES).to_pandas()
    queries = queries[(queries["split"] == "test") & queries["image_id"].isin(ids)]
    photos = Images.select(Embeddings.read_all(PROJECT.image_embeddings, params.embed_images.encoders), ids)
    text_of = dict(zip(queries["query_id"], queries["text"], strict=True))
    texts = Texts.select(Embeddings.read_all(PROJECT.text_embeddings, params.embed_texts.encoders), text_of)
    shared = params.shared_encoders[0]
    cosine = texts.vectors[shared] @ photos.vectors[shared].T
    rows = np.divmod(np.arange(cosine.size), len(ids))
    model = RelevanceModel.load(PROJECT.relevance_model).predict(photos, texts, rows[1], rows[0]).reshape(cosine.shape)
    own = pd.Index(ids).get_indexer(queries["image_id"])
    by_cosine = place(cosine, own)
    figures = {}
    for depth in depths:
        found = np.argsort(np.argsort(-cosine, axis=1, kind="stable"), axis=1) < depth
        by_both = place(np.where(found, 2 + model, cosine), own)
        gains = {f"recall_at_{k}": (by_both < k) * 1.0 - (by_cosine < k) for k in (1, 5, 10)}
        gains["mrr"] = 1 / (1 + by_both) - 1 / (1 + by_cosine)
        names = queries["image_id"].tolist()
        figures[f"rerank {depth}"] = {name: difference(gain, names, params) for name, gain in gains.items()}
    return figures


def place(score: np.ndarray, own: np.ndarray) -> np.ndarray:
    """How many photos stand before each text's own; of equals, half do."""
    target = score[np.arange(len(own)), own][:, None]
    return (score > target).sum(axis=1) + ((score == target).sum(axis=1) - 1) / 2


def rated_pairs(params: Params) -> dict[str, dict[str, float] | int]:
    """NDCG@10 of held-out predictions less that of the cosine, over texts with two or more rated photos."""
    both = [
        read_table(PROJECT.predictions / f"{name}.parquet", PREDICTIONS).to_pandas() for name in ("model", "cosine")
    ]
    pairs = both[0].merge(
        both[1][["image_id", "query_id", "score"]], on=["image_id", "query_id"], suffixes=("", "_cosine")
    )
    texts = {
        str(name): ndcg(group["relevance"].to_numpy(), group["score"].to_numpy())
        - ndcg(group["relevance"].to_numpy(), group["score_cosine"].to_numpy())
        for name, group in pairs.groupby("query_id")
        if len(group) > 1 and group["relevance"].max() > 0
    }
    return {"n_texts": len(texts), "ndcg_at_10": difference(np.array(list(texts.values())), list(texts), params)}


def ndcg(relevance: np.ndarray, score: np.ndarray) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002) of the first PLACES."""
    discount = 1 / np.log2(2 + np.arange(min(PLACES, len(relevance))))
    order = np.argsort(-score, kind="stable")[:PLACES]
    return float((relevance[order] * discount).sum() / (np.sort(relevance)[::-1][:PLACES] * discount).sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depths", type=int, nargs="+", default=[10, 20, 50, 100])
    asked = parser.parse_args()
    params = load_params()
    print(
        json.dumps({"test_queries": test_queries(params, asked.depths), "rated_pairs": rated_pairs(params)}, indent=2)
    )


if __name__ == "__main__":
    main()
