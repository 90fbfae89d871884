"""Measure whether reranking with the relevance model improves the ranking by cosine.

Run the benchmark in a project whose pipeline has run. The printed JSON object contains paired differences (reranked
minus cosine) with bootstrap intervals. Reranking improves a metric if the interval of its difference is above 0.

- test_queries: Each test query searches the test images. The N images with the highest cosine are reranked.
- rated_pairs: The rated images of each query are ranked by held-out predictions. NDCG@10 weighs each image by its
  relevance.

    python benchmarks/rerank.py      # under a minute
"""

import argparse
import json

import numpy as np
import pandas as pd

from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, PAIR, PREDICTIONS, QUERIES, read_table
from kadr.metrics import bootstrap
from kadr.model import RelevanceModel
from kadr.params import Params, load_params
from kadr.project import PROJECT

MAX_RANK = 10
RECALL_RANKS = (1, 5, 10)


def mean_difference(differences: np.ndarray, groups: list[str], params: Params) -> dict[str, float]:
    """Return the mean of paired differences, with a bootstrap interval over groups (queries or images)."""
    mean = bootstrap(
        lambda rows: float(differences[rows].mean()),
        groups,
        params.evaluate.n_bootstrap,
        params.evaluate.confidence,
        params.seed,
    )
    if mean is None:
        raise SystemExit("No pairs to compare. Run `dvc repro` on data with test queries and rated pairs.")
    return {key: round(getattr(mean, key), 4) for key in ("value", "low", "high")}


def compare_test_queries(params: Params, depths: list[int]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the differences in the retrieval metrics for each reranking depth."""
    images = read_table(PROJECT.images, IMAGES).to_pandas()
    ids = images.loc[(images["split"] == "test") & (images["status"] == "ok"), "image_id"].tolist()
    queries = read_table(PROJECT.queries, QUERIES).to_pandas()
    queries = queries[(queries["split"] == "test") & queries["image_id"].isin(ids)]
    image_inputs = Images.select(Embeddings.read_all(PROJECT.image_embeddings, params.embed_images.encoders), ids)
    texts = dict(zip(queries["query_id"], queries["text"], strict=True))
    text_inputs = Texts.select(Embeddings.read_all(PROJECT.text_embeddings, params.embed_texts.encoders), texts)
    encoder = params.shared_encoders[0]
    cosines = text_inputs.vectors[encoder] @ image_inputs.vectors[encoder].T
    text_rows, image_rows = np.divmod(np.arange(cosines.size), len(ids))
    model = RelevanceModel.load(PROJECT.relevance_model)
    predictions = model.predict(image_inputs, text_inputs, image_rows, text_rows).reshape(cosines.shape)
    targets = pd.Index(ids).get_indexer(queries["image_id"])
    cosine_ranks = target_ranks(cosines, targets)
    results = {}
    for depth in depths:
        reranked = np.argsort(np.argsort(-cosines, axis=1, kind="stable"), axis=1) < depth
        ranks = target_ranks(np.where(reranked, 2 + predictions, cosines), targets)
        differences = {f"recall_at_{k}": (ranks < k) * 1.0 - (cosine_ranks < k) for k in RECALL_RANKS}
        differences["mrr"] = 1 / (1 + ranks) - 1 / (1 + cosine_ranks)
        groups = queries["image_id"].tolist()
        results[f"rerank {depth}"] = {
            name: mean_difference(values, groups, params) for name, values in differences.items()
        }
    return results


def target_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the number of images that rank above each query's target image.

    An image with the same score as the target counts as half an image.

    Args:
        scores: (n_queries, n_images) scores.
        targets: (n_queries,) column index of each query's target image.
    """
    target_scores = scores[np.arange(len(targets)), targets][:, None]
    return (scores > target_scores).sum(axis=1) + ((scores == target_scores).sum(axis=1) - 1) / 2


def compare_rated_pairs(params: Params) -> dict[str, dict[str, float] | int]:
    """Return the mean difference in NDCG@10 between held-out predictions and cosines.

    Only queries with at least two rated images, and with a relevance above 0 for at least one image, are included.
    """
    model, cosine = (
        read_table(PROJECT.predictions / f"{name}.parquet", PREDICTIONS).to_pandas() for name in ("model", "cosine")
    )
    pairs = model.merge(cosine[[*PAIR, "score"]], on=PAIR, suffixes=("", "_cosine"))
    differences = {
        str(query_id): ndcg(group["relevance"].to_numpy(), group["score"].to_numpy())
        - ndcg(group["relevance"].to_numpy(), group["score_cosine"].to_numpy())
        for query_id, group in pairs.groupby("query_id")
        if len(group) > 1 and group["relevance"].max() > 0
    }
    difference = mean_difference(np.array(list(differences.values())), list(differences), params)
    return {"n_texts": len(differences), "ndcg_at_10": difference}


def ndcg(relevances: np.ndarray, scores: np.ndarray) -> float:
    """Return the normalised discounted cumulative gain of the first 10 ranks (Järvelin and Kekäläinen 2002).

    Args:
        relevances: (n_images,) relevances of one query's rated images.
        scores: (n_images,) scores of the same images.
    """
    discounts = 1 / np.log2(2 + np.arange(min(MAX_RANK, len(relevances))))
    order = np.argsort(-scores, kind="stable")[:MAX_RANK]
    ideal = np.sort(relevances)[::-1][:MAX_RANK]
    return float((relevances[order] * discounts).sum() / (ideal * discounts).sum())


def main() -> None:
    """Compare reranking with the ranking by cosine, and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", type=int, nargs="+", default=[10, 20, 50, 100], help="numbers of images to rerank")
    args = parser.parse_args()
    params = load_params()
    results = {
        "test_queries": compare_test_queries(params, args.depths),
        "rated_pairs": compare_rated_pairs(params),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
