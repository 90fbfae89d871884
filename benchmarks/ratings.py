"""Which way to aggregate ratings predicts best what one more expert says. docs/ratings.md has the protocol.

python benchmarks/ratings.py                                        # the run's data/tables/ratings.parquet
python benchmarks/ratings.py --truth data/raw/sample/truth.parquet  # also: how near the drawn sample's truth
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm, spearmanr

from kadr.aggregate import AGGREGATORS, GRADED_RESPONSE, fit
from kadr.aggregate.method_comparison import leave_one_out
from kadr.aggregate.response_patterns import CROWD
from kadr.io.schemas import PAIR, QUERIES, RATINGS, on_unit, read_table
from kadr.metrics import bootstrap
from kadr.project import PROJECT
from kadr.sample.simulated_raters import EXPERTS

N_FOLDS, SEED, N_BOOTSTRAP, CONFIDENCE = 5, 0, 300, 0.95
COVERAGE = 0.9

Figure = Callable[[np.ndarray], float]


def main() -> None:
    """Print the losses, and the nearness to the truth where it is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, help="truth.parquet of the drawn sample")
    truth = parser.parse_args().truth
    ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
    print(losses(leave_one_out(ratings, N_FOLDS, SEED)).to_string(index=False))
    if truth:
        print(nearness(ratings, truth).to_string(index=False))


def losses(judged: pd.DataFrame) -> pd.DataFrame:
    """Log loss and RMSE of each method, and how much worse than ours, with intervals by photo."""
    table = judged.pivot(index=["image_id", "query_id"], columns="method", values=["log_loss", "squared_error"])
    photos = table.index.get_level_values("image_id").tolist()
    rows = []
    for method in judged["method"].unique():
        row: dict[str, str] = {"method": method}
        for name, loss, power in (("log loss", "log_loss", 1.0), ("RMSE", "squared_error", 0.5)):
            own, ours = table[loss][method].to_numpy(), table[loss][GRADED_RESPONSE].to_numpy()
            row[name] = interval(lambda at, own=own, power=power: own[at].mean() ** power, photos)
            row[f"{name} less ours"] = interval(
                lambda at, own=own, ours=ours, power=power: own[at].mean() ** power - ours[at].mean() ** power, photos
            )
        rows.append(row)
    return pd.DataFrame(rows)


def interval(figure: Figure, photos: list[str]) -> str:
    """A figure with its bootstrap interval by photo."""
    found = bootstrap(figure, photos, N_BOOTSTRAP, CONFIDENCE, SEED)
    return "-" if found is None else f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def nearness(ratings: pd.DataFrame, truth_path: Path) -> pd.DataFrame:
    """Pearson and Spearman correlation and RMSE against the truth on pairs that experts rated, a row per method."""
    text = read_table(PROJECT.queries, QUERIES).to_pandas().set_index("query_id")["text"]
    truth = pd.read_parquet(truth_path).set_index(["img_id", "text"])["relevance"]
    expert = ratings[ratings["source"] == "expert"].assign(rating=on_unit)
    found = {name: method().fit_predict(expert).set_index(PAIR)["rating"] for name, method in AGGREGATORS.items()}
    intervals = {}
    for name, said in (
        (GRADED_RESPONSE, ratings),
        ("graded_response, raters unknown", ratings.assign(rater=None)),
        ("graded_response, experts alone", ratings[ratings["source"] == "expert"]),
    ):
        found[name], intervals[name] = posterior(said)
    rows = []
    for name, aggregated in found.items():
        keys = [(image_id, text[query_id]) for image_id, query_id in aggregated.index]
        true = truth.reindex(pd.MultiIndex.from_tuples(keys)).to_numpy()
        known = ~np.isnan(true)
        rows.append({"method": name, **compare(aggregated.to_numpy()[known], true[known])})
        if name in intervals:
            low, high = (bound[known] for bound in intervals[name])
            scaled = on_expert_scale(true[known])
            rows[-1][f"within {COVERAGE:.0%}"] = float(((low <= scaled) & (scaled <= high)).mean())
    return pd.DataFrame(rows).round(3)


def compare(aggregated: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Correlations and error of the pairs' aggregates."""
    return {
        "pairs": len(true),
        "pearson": float(np.corrcoef(aggregated, true)[0, 1]),
        "spearman": float(spearmanr(aggregated, true).statistic),
        "RMSE": float(np.sqrt(np.mean((aggregated - on_expert_scale(true)) ** 2))),
    }


def posterior(ratings: pd.DataFrame) -> tuple[pd.Series, tuple[np.ndarray, np.ndarray]]:
    """Posterior mean of pairs that experts rated, and the bounds of its central 90 %."""
    model = fit(ratings)
    patterns = model.patterns(ratings)
    by_expert = patterns.stratum[patterns.of_pair] != CROWD
    cumulated = np.cumsum(model.posterior(patterns), axis=1)
    tail = (1 - COVERAGE) / 2
    places = [np.minimum((cumulated < share).sum(axis=1), cumulated.shape[1] - 1) for share in (tail, 1 - tail)]
    mean = pd.Series(model.moments(patterns)[0][patterns.of_pair], index=pd.MultiIndex.from_frame(patterns.pairs))
    low, high = (model.relevance[place][patterns.of_pair][by_expert] for place in places)
    return mean[by_expert], (low, high)


def on_expert_scale(true: np.ndarray) -> np.ndarray:
    """What the sample's experts say on average of pairs of this truth when they take care, on 0..1.

    The relevance is what a careful expert would say, so it is compared with that.
    """
    total = np.zeros(len(true))
    for expert in EXPERTS:
        seen = 1 + 3 * true + expert.bias
        for threshold in (1.5, 2.5, 3.5):
            total += norm.sf(threshold, seen, expert.noise)
    return total / (3 * len(EXPERTS))


if __name__ == "__main__":
    main()
