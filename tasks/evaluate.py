"""Stage evaluate: predictions, ratings, test queries in; figures with intervals, beside baselines and the ceiling."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kadr.embeddings import Embeddings
from kadr.features import Images, Texts
from kadr.metrics import crowd_pairs, expert_pairs, ranks, reliability
from kadr.metrics.evaluate import (
    Figures,
    agreement_figures,
    as_json,
    ceiling,
    errors_only,
    no_figures,
    rank_order_only,
    retrieval_figures,
)
from kadr.model import RelevanceModel
from kadr.params import Params
from kadr.schemas import IMAGES, PREDICTIONS, QUERIES, RATINGS, read_table
from tasks import paths, tracking
from tasks.run_plots import predictions_plot, reliability_plot
from tasks.stage import Metrics, run, write_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HAS = {"mean": errors_only, "cosine": rank_order_only}  # what of a baseline's figures means something


def evaluate(params: Params) -> Metrics:
    """Judge the out-of-fold predictions of the model and of the baselines, and the ranking of the test photos."""
    queries = read_table(paths.QUERIES, QUERIES).to_pandas()
    ratings = read_table(paths.RATINGS, RATINGS).to_pandas()
    expert, crowd = expert_pairs(ratings, queries), crowd_pairs(ratings)
    found = retrieve(params, queries)
    figures: dict[str, Figures] = {}
    for name in ("model", "mean", "cosine", "concat"):
        predictions = read_table(paths.PREDICTIONS / f"{name}.parquet", PREDICTIONS).to_pandas()
        agreed = agreement_figures(predictions, expert, crowd, params.evaluate, params.seed)
        if name == "model":
            plots = {
                "reliability": reliability_plot(write_reliability(predictions)),
                "predictions": predictions_plot(predictions),
            }
        figures[name] = no_figures() | HAS.get(name, lambda own: own)(agreed) | found.get(name, {})
    record(params, figures, plots)
    return {
        **as_json(figures.pop("model")),
        "baselines": {name: as_json(own) for name, own in figures.items()},
        "ceiling": as_json(ceiling(expert, params.evaluate, params.seed)),
    }


def retrieve(params: Params, queries: pd.DataFrame) -> dict[str, Figures]:
    """Retrieval figures of the model and of the cosine: a test query has to find its own photo."""
    images = read_table(paths.IMAGES, IMAGES).to_pandas()
    collection = images.loc[(images["split"] == "test") & (images["status"] == "ok"), "image_id"].tolist()
    asked = queries[(queries["split"] == "test") & queries["image_id"].isin(collection)]
    if asked.empty:
        return {}
    photos = Images.select(Embeddings.read_all(paths.IMAGE_EMBEDDINGS, params.embed_images.encoders), collection)
    text_of = dict(zip(asked["query_id"], asked["text"], strict=True))
    texts = Texts.select(Embeddings.read_all(paths.TEXT_EMBEDDINGS, params.embed_texts.encoders), text_of)
    shared = params.shared_encoders[0]
    text_rows, image_rows = np.divmod(np.arange(len(asked) * len(collection)), len(collection))
    model = RelevanceModel.load(paths.RELEVANCE_MODEL)
    scores = {
        "model": model.predict(photos, texts, image_rows, text_rows).reshape(len(asked), len(collection)),
        "cosine": texts.vectors[shared] @ photos.vectors[shared].T,
    }
    target = pd.Index(collection).get_indexer(asked["image_id"])
    own = asked["image_id"].tolist()
    return {
        name: retrieval_figures(ranks(score, target), own, params.evaluate, params.seed)
        for name, score in scores.items()
    }


def write_reliability(predictions: pd.DataFrame) -> pd.DataFrame:
    """Write, and return, the table behind DVC's reliability plot."""
    people, score = predictions["relevance"].to_numpy(), predictions["score"].to_numpy()
    table = reliability(people, score).round(6)
    write_csv(paths.RELIABILITY, table)
    return table


def record(params: Params, figures: dict[str, Figures], plots: dict[str, "Figure"]) -> None:
    """Add the figures and pictures to the MLflow runs of the training."""
    roles = {name: "model" if name == "model" else f"baseline {name}" for name in figures}
    values = {
        roles[name]: {key: figure.value for key, figure in own.items() if figure} for name, own in figures.items()
    }
    tracking.record_evaluation(params, paths.RELEVANCE_MODEL, values, plots)


if __name__ == "__main__":
    run("evaluate", evaluate)
