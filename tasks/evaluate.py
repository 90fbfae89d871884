"""The `evaluate` stage computes the metrics of the model and the baselines, and checks the quality gates."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from kadr.cli.stage import Metrics, run_stage
from kadr.errors import ParamsError
from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, PAIR, QUERIES, read_table
from kadr.io.text_files import write_csv, write_json
from kadr.metrics import gates, reliability_table, target_ranks
from kadr.metrics.evaluation import (
    ERROR_METRICS,
    NDCG,
    RANKING_METRICS,
    Estimates,
    as_json,
    ceiling,
    differences,
    human_agreement,
    missing_metrics,
    retrieval_metrics,
)
from kadr.metrics.evaluator import Evaluator, common_pairs, read_predictions
from kadr.model import RelevanceModel
from kadr.operations.tracking import recording
from kadr.operations.tracking.run_plots import predictions_plot, reliability_plot
from kadr.params import GateParams, Params
from kadr.project import PROJECT, SEEN_TEXT

BASELINE_METRICS = {"mean": ERROR_METRICS, "cosine": RANKING_METRICS}
"""Metrics to compute for each baseline. For a baseline that is not listed, all metrics are computed."""
HEADLINE_METRICS = ("tau_c", "tau_b", "auc", "rmse", "recall_at_1", "recall_at_5")
"""Metrics in metrics/headline.json, which `dvc metrics show` and `dvc exp show` print in one line."""
DEFAULT_N_RERANKED = 100  # number of images to rerank for the metrics `reordering` if index.rerank is 0


def evaluate(params: Params) -> Metrics:
    """Evaluate the out-of-fold predictions and the retrieval of test images.

    Returns:
        Metrics for metrics/evaluate.json.

    Raises:
        ParamsError: evaluate.gates contains an unknown metric or a champion folder without predictions.
        GateError: the model does not pass the quality gates. The metrics are written before this error is raised.
    """
    check_gates(params.evaluate.gates)
    evaluator = Evaluator.read(params.evaluate, params.seed)
    retrieval = evaluate_retrieval(params)
    predictions = {name: read_predictions(PROJECT.predictions, name) for name in ("model", *params.train.baselines)}
    estimates = {
        name: missing_metrics()
        | evaluator.evaluate(table, BASELINE_METRICS.get(name, RANKING_METRICS + ERROR_METRICS))
        | retrieval.get(name, {})
        for name, table in predictions.items()
    }
    model = predictions["model"]
    reliability = reliability_table(model["relevance"].to_numpy(), model["score"].to_numpy()).round(6)
    references = {
        "ceiling": ceiling(evaluator.expert.merge(model[PAIR]), params.evaluate, params.seed),
        "human": human_agreement(model, evaluator.expert, params.evaluate, params.seed),
        "seen_text": evaluator.evaluate(read_predictions(PROJECT.predictions, SEEN_TEXT)),
    }
    metrics = build_metrics(estimates, references, retrieval.get("reordered", {}))
    plots = {"reliability": reliability_plot(reliability), "predictions": predictions_plot(model)}
    recording.record_evaluation(params.train.experiment, PROJECT.relevance_model, metrics, plots)
    write_csv(PROJECT.reliability, reliability)
    # Write the metrics before the gates are checked, so that a rejected model can be analysed.
    write_json(PROJECT.metrics / "evaluate.json", metrics)
    write_json(PROJECT.metrics / "headline.json", headline(estimates["model"]))
    failures = find_gate_failures(evaluator, model, estimates)
    recording.record_gates(params.train.experiment, PROJECT.relevance_model, failures)
    gates.enforce(failures)
    return metrics


def headline(estimates: Estimates) -> dict[str, float]:
    """Return the main metrics of the model, and the interval of tau-c, for metrics/headline.json.

    A metric without a value is omitted.
    """
    metrics = {name: estimate.value for name in HEADLINE_METRICS if (estimate := estimates[name])}
    if tau_c := estimates["tau_c"]:
        metrics |= {"tau_c.low": tau_c.low, "tau_c.high": tau_c.high}
    return {name: round(value, 4) for name, value in metrics.items()}


def build_metrics(
    estimates: Mapping[str, Estimates], references: Mapping[str, Estimates], reordered: Estimates
) -> Metrics:
    """Build the metrics for metrics/evaluate.json.

    Args:
        estimates: metrics of the model and of each baseline, by name.
        references: additional groups of metrics, by name: `ceiling`, `human` and `seen_text`.
        reordered: retrieval metrics of a cosine search whose first results the model reranks.
    """
    model, baselines = estimates["model"], {name: table for name, table in estimates.items() if name != "model"}
    compared = {name: differences(model, table) for name, table in baselines.items() if name != "mean"}
    return {
        **as_json(model),
        "baselines": {name: as_json(table) for name, table in baselines.items()},
        "differences": {name: as_json(table) for name, table in compared.items()},
        "reordering": as_json(differences({NDCG: model[NDCG], **reordered}, baselines.get("cosine", {}))),
        **{name: as_json(reference) for name, reference in references.items()},
    }


def check_gates(params: GateParams) -> None:
    """Raise ParamsError if evaluate.gates contains an unknown metric or a champion folder without predictions."""
    known = missing_metrics()
    for name in params.figures:
        if name not in known:
            raise ParamsError(f"evaluate.gates.figures: {name!r} is not a metric. Choose from {', '.join(known)}.")
    if params.champion and not (Path(params.champion) / "model.parquet").is_file():
        raise ParamsError(
            f"evaluate.gates.champion: folder {params.champion} contains no model.parquet. Set evaluate.gates.champion "
            f"to a copy of {PROJECT.predictions} from an earlier run, or to null."
        )


def find_gate_failures(evaluator: Evaluator, model: pd.DataFrame, estimates: Mapping[str, Estimates]) -> list[str]:
    """Compare the model with the baseline and the champion that are set in evaluate.gates.

    Args:
        evaluator: evaluator with the ratings, the bootstrap settings and the gates.
        model: predictions of the model.
        estimates: metrics of the model and of each baseline, by name.

    Returns:
        One message for each metric on which the model is significantly worse.

    Raises:
        ParamsError: the champion's predictions contain none of the model's pairs.
    """
    params = evaluator.params.gates
    messages: list[str] = []
    if params.above:
        baseline = estimates[params.above]
        messages += gates.find_regressions(estimates["model"], f"baseline {params.above}", baseline, params.figures)
    if params.champion:
        names = [name for name in params.figures if name in RANKING_METRICS + ERROR_METRICS]
        tables = common_pairs(model, Path(params.champion))
        if tables[0].empty:
            raise ParamsError(
                f"evaluate.gates.champion: folder {params.champion} contains no predictions for the pairs of this run. "
                "Set evaluate.gates.champion to predictions for the same images and queries, or to null."
            )
        current, champion = (evaluator.evaluate(table, names) for table in tables)
        messages += gates.find_regressions(current, f"champion {params.champion}", champion, params.figures)
    return messages


def evaluate_retrieval(params: Params) -> dict[str, Estimates]:
    """Measure the rank of the target image of each test query among all test images.

    Returns:
        Retrieval metrics of three rankings: `model`, `cosine` and `reordered`. The ranking `reordered` corresponds to
        `kadr search`: images are ranked by cosine, and the model reranks the first index.rerank images. The result is
        empty if there are no test queries.
    """
    queries = read_table(PROJECT.queries, QUERIES).to_pandas()
    images = read_table(PROJECT.images, IMAGES).to_pandas()
    image_ids = images.loc[(images["split"] == "test") & (images["status"] == "ok"), "image_id"].tolist()
    queries = queries[(queries["split"] == "test") & queries["image_id"].isin(image_ids)]
    if queries.empty:
        return {}
    target_ids = queries["image_id"].tolist()
    target = pd.Index(image_ids).get_indexer(queries["image_id"])
    n_reranked = params.index.rerank or DEFAULT_N_RERANKED
    return {
        name: retrieval_metrics(target_ranks(scores, target), target_ids, params.evaluate, params.seed)
        for name, scores in score_test_images(params, image_ids, queries, n_reranked).items()
    }


def score_test_images(
    params: Params, image_ids: list[str], queries: pd.DataFrame, n_reranked: int
) -> dict[str, "np.ndarray[tuple[int, int], np.dtype[np.floating]]"]:
    """Score every test image for every test query.

    Args:
        params: settings of the project.
        image_ids: IDs of the test images.
        queries: table of the test queries, with the columns query_id and text.
        n_reranked: number of images per query that the model reranks for `reordered`.

    Returns:
        Scores, (n_queries, n_images), of the rankings `model`, `cosine` and `reordered`.
    """
    images = Images.select(Embeddings.read_all(PROJECT.image_embeddings, params.embed_images.encoders), image_ids)
    query_texts = dict(zip(queries["query_id"], queries["text"], strict=True))
    texts = Texts.select(Embeddings.read_all(PROJECT.text_embeddings, params.embed_texts.encoders), query_texts)
    shape = len(queries), len(image_ids)
    text_rows, image_rows = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    shared = params.shared_encoders[0]
    cosine = texts.vectors[shared] @ images.vectors[shared].T
    model = RelevanceModel.load(PROJECT.relevance_model).predict(images, texts, image_rows, text_rows).reshape(shape)
    is_reranked = np.argsort(np.argsort(-cosine, axis=1, kind="stable"), axis=1) < n_reranked
    return {"model": model, "cosine": cosine, "reordered": np.where(is_reranked, 2 + model, cosine)}


if __name__ == "__main__":
    run_stage("evaluate", evaluate)
