"""Stage evaluate: predictions, ratings, test queries in; figures with intervals, beside baselines and the ceiling."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kadr.cli.stage import Metrics, run
from kadr.errors import ParamsError
from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, PAIR, QUERIES, read_table
from kadr.io.text_files import write_csv, write_json
from kadr.metrics import gates, ranks, reliability
from kadr.metrics.evaluation import (
    ERRORS,
    NDCG,
    RANKING,
    Figures,
    as_json,
    ceiling,
    differences,
    human_agreement,
    no_figures,
    retrieval_figures,
)
from kadr.metrics.evaluator import Judge, pairs_of_both, read_predictions
from kadr.model import RelevanceModel
from kadr.operations.tracking import recording
from kadr.operations.tracking.run_plots import predictions_plot, reliability_plot
from kadr.params import Params
from kadr.project import PROJECT, SEEN_TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASELINES = ("mean", "cosine", "concat")
CLAIMED = ("cosine", "concat")  # baselines that the model is said to beat
JUDGED = 100  # candidates whose reordering is judged where index.rerank is 0
HAS = {"mean": ERRORS, "cosine": RANKING}  # what of a baseline's figures means something


def evaluate(params: Params) -> Metrics:
    """Judge the out-of-fold predictions of the model and of the baselines, and the ranking of the test photos.

    Raises GateError, after the figures are written, where the model does not pass evaluate.gates.
    """
    check_gates(params)
    judge, found = Judge.read(params), retrieve(params)
    predictions = {name: read_predictions(PROJECT.predictions, name) for name in ("model", *BASELINES)}
    figures: dict[str, Figures] = {}
    for name, predicted in predictions.items():
        agreed = judge.figures(predicted, HAS.get(name, RANKING + ERRORS))
        figures[name] = no_figures() | agreed | found.get(name, {})
    model = predictions["model"]
    table = reliability(model["relevance"].to_numpy(), model["score"].to_numpy()).round(6)
    write_csv(PROJECT.reliability, table)
    others = {
        "ceiling": ceiling(judge.expert.merge(model[PAIR]), params.evaluate, params.seed),
        "human": human_agreement(model, judge.expert, params.evaluate, params.seed),
        "seen_text": judge.figures(read_predictions(PROJECT.predictions, SEEN_TEXT)),
    }
    metrics: Metrics = {
        **as_json(figures["model"]),
        "baselines": {name: as_json(figures[name]) for name in BASELINES},
        "differences": {name: as_json(differences(figures["model"], figures[name])) for name in CLAIMED},
        "reordering": as_json(
            differences({NDCG: figures["model"][NDCG], **found.get("reordered", {})}, figures["cosine"])
        ),
        **{name: as_json(own) for name, own in others.items()},
    }
    plots = {"reliability": reliability_plot(table), "predictions": predictions_plot(model)}
    record(params, figures, others, plots)
    write_json(PROJECT.metrics / "evaluate.json", metrics)  # before the gates: whoever fails wants to see the figures
    gates.hold(failed_gates(judge, model, figures))
    return metrics


def check_gates(params: Params) -> None:
    """Raise ParamsError where evaluate.gates names a figure or a champion that is not there."""
    asked, known = params.evaluate.gates, no_figures()
    for name in asked.figures:
        if name not in known:
            raise ParamsError(f"evaluate.gates.figures: unknown figure {name!r}; the figures are {', '.join(known)}")
    if asked.champion and not (Path(asked.champion) / "model.parquet").is_file():
        raise ParamsError(
            f"evaluate.gates.champion: got {asked.champion}, which has no model.parquet, wanted a copy of the folder "
            f"{PROJECT.predictions} of the run to compare with; name one, or null"
        )


def failed_gates(judge: Judge, model: pd.DataFrame, figures: Mapping[str, Figures]) -> list[str]:
    """What the model is worse in than the rivals of evaluate.gates, by more than noise; `model` are its predictions."""
    asked = judge.params.evaluate.gates
    failed: list[str] = []
    if asked.above:
        failed += gates.worse(figures["model"], f"baseline {asked.above}", figures[asked.above], asked.figures)
    if asked.champion:
        names = [name for name in asked.figures if name in RANKING + ERRORS]
        both = pairs_of_both(model, Path(asked.champion))
        if both[0].empty:
            raise ParamsError(
                f"evaluate.gates.champion: {asked.champion} has no pair of this run; name one of the same ratings"
            )
        ours, theirs = (judge.figures(table, names) for table in both)
        failed += gates.worse(ours, f"champion {asked.champion}", theirs, asked.figures)
    return failed


def retrieve(params: Params) -> dict[str, Figures]:
    """Retrieval figures: a test query has to find its own photo.

    By `model` and by `cosine`; `reordered` is by both, as search does it: the first index.rerank by cosine in the
    order of the model, then the others.
    """
    queries = read_table(PROJECT.queries, QUERIES).to_pandas()
    images = read_table(PROJECT.images, IMAGES).to_pandas()
    collection = images.loc[(images["split"] == "test") & (images["status"] == "ok"), "image_id"].tolist()
    asked = queries[(queries["split"] == "test") & queries["image_id"].isin(collection)]
    if asked.empty:
        return {}
    photos = Images.select(Embeddings.read_all(PROJECT.image_embeddings, params.embed_images.encoders), collection)
    text_of = dict(zip(asked["query_id"], asked["text"], strict=True))
    texts = Texts.select(Embeddings.read_all(PROJECT.text_embeddings, params.embed_texts.encoders), text_of)
    shared = params.shared_encoders[0]
    text_rows, image_rows = np.divmod(np.arange(len(asked) * len(collection)), len(collection))
    model = RelevanceModel.load(PROJECT.relevance_model)
    scores = {
        "model": model.predict(photos, texts, image_rows, text_rows).reshape(len(asked), len(collection)),
        "cosine": texts.vectors[shared] @ photos.vectors[shared].T,
    }
    first = np.argsort(np.argsort(-scores["cosine"], axis=1, kind="stable"), axis=1) < (params.index.rerank or JUDGED)
    scores["reordered"] = np.where(first, 2 + scores["model"], scores["cosine"])
    target = pd.Index(collection).get_indexer(asked["image_id"])
    own = asked["image_id"].tolist()
    return {
        name: retrieval_figures(ranks(score, target), own, params.evaluate, params.seed)
        for name, score in scores.items()
    }


def record(
    params: Params, figures: Mapping[str, Figures], others: Mapping[str, Figures], plots: Mapping[str, "Figure"]
) -> None:
    """Add figures and pictures to the MLflow runs of the training; `others` are the model's own, as `name.figure`."""
    named = {("model" if name == "model" else f"baseline {name}"): own for name, own in figures.items()}
    named["model"] |= {f"{name}.{key}": figure for name, own in others.items() for key, figure in own.items()}
    values = {role: {key: figure.value for key, figure in own.items() if figure} for role, own in named.items()}
    recording.record_evaluation(params, PROJECT.relevance_model, values, plots)


if __name__ == "__main__":
    run("evaluate", evaluate)
