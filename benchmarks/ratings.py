"""Compare how well the aggregation methods predict held-out expert ratings. See docs/ratings.md.

python benchmarks/ratings.py                                        # use the ratings in data/tables/ratings.parquet
python benchmarks/ratings.py --truth data/raw/sample/truth.parquet  # also compare with the sample's true relevance
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm, spearmanr

from kadr.aggregate import AGGREGATORS, fit_graded_response
from kadr.aggregate.method_comparison import REFERENCE, compare_methods
from kadr.aggregate.relevance import add_unit_rating
from kadr.aggregate.response_patterns import Stratum
from kadr.io.schemas import PAIR, QUERIES, RATINGS, read_table
from kadr.metrics import bootstrap
from kadr.project import PROJECT
from kadr.sample.simulated_raters import EXPERTS

N_FOLDS, SEED, N_BOOTSTRAP, CONFIDENCE = 5, 0, 300, 0.95
COVERAGE = 0.9

Statistic = Callable[[np.ndarray], float]


def main() -> None:
    """Print the prediction losses and, with --truth, the comparison with the true relevance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, help="Path of truth.parquet, the true relevance of the sample data.")
    truth = parser.parse_args().truth
    ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
    print(summarise_losses(compare_methods(ratings, N_FOLDS, SEED)).to_string(index=False))
    if truth:
        print(compare_with_truth(ratings, truth).to_string(index=False))


def summarise_losses(losses: pd.DataFrame) -> pd.DataFrame:
    """Return the log loss and RMSE of each method and their paired differences from REFERENCE.

    Args:
        losses: the result of `compare_methods`.

    Returns:
        One row per method. Each value is formatted with its bootstrap interval over images.
    """
    table = losses.pivot(index=PAIR, columns="method", values=["log_loss", "squared_error"])
    image_ids = table.index.get_level_values("image_id").tolist()
    rows = []
    for method in losses["method"].unique():
        row: dict[str, str] = {"method": method}
        for name, column, power in (("log loss", "log_loss", 1.0), ("RMSE", "squared_error", 0.5)):
            loss, reference = table[column][method].to_numpy(), table[column][REFERENCE].to_numpy()
            row[name] = format_interval(
                lambda rows, loss=loss, power=power: loss[rows].mean() ** power,
                image_ids,
            )
            row[f"{name} difference"] = format_interval(
                lambda rows, loss=loss, reference=reference, power=power: (
                    loss[rows].mean() ** power - reference[rows].mean() ** power
                ),
                image_ids,
            )
        rows.append(row)
    return pd.DataFrame(rows)


def format_interval(statistic: Statistic, image_ids: list[str]) -> str:
    """Format a statistic and its bootstrap interval, e.g. "0.1543 (0.1510 to 0.1570)"."""
    interval = bootstrap(statistic, image_ids, N_BOOTSTRAP, CONFIDENCE, SEED)
    return "-" if interval is None else f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def compare_with_truth(ratings: pd.DataFrame, truth_path: Path) -> pd.DataFrame:
    """Compare the aggregated relevance of expert-rated pairs with the true relevance of the sample data.

    Args:
        ratings: table RATINGS.
        truth_path: path of truth.parquet.

    Returns:
        One row per method: number of pairs, Pearson and Spearman correlation, RMSE, and the share of pairs whose true
        relevance is inside the central posterior interval of probability COVERAGE.
    """
    query_text = read_table(PROJECT.queries, QUERIES).to_pandas().set_index("query_id")["text"]
    truth = pd.read_parquet(truth_path).set_index(["img_id", "text"])["relevance"]
    expert = ratings[ratings["source"] == "expert"]
    relevance, bounds = {}, {}
    for name in AGGREGATORS.names:
        method = AGGREGATORS.load(name)()
        if not method.uses_crowd:
            aggregated = method.fit_predict(add_unit_rating(expert)).astype(dict.fromkeys(PAIR, "str"))
            relevance[name] = aggregated.set_index(PAIR)["relevance"]
    for name, selected in (
        (REFERENCE, ratings),
        (f"{REFERENCE}, raters unknown", ratings.assign(rater=None)),
        (f"{REFERENCE}, experts alone", expert),
    ):
        relevance[name], bounds[name] = posterior_interval(selected)
    rows = []
    for name, predicted in relevance.items():
        keys = [(image_id, query_text[query_id]) for image_id, query_id in predicted.index]
        true = truth.reindex(pd.MultiIndex.from_tuples(keys)).to_numpy()
        is_known = ~np.isnan(true)
        rows.append({"method": name, **measure_deviation(predicted.to_numpy()[is_known], true[is_known])})
        if name in bounds:
            low, high = (bound[is_known] for bound in bounds[name])
            scaled = to_expert_scale(true[is_known])
            rows[-1][f"within {COVERAGE:.0%}"] = float(((low <= scaled) & (scaled <= high)).mean())
    return pd.DataFrame(rows).round(3)


def measure_deviation(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return the correlations and the RMSE between predicted and true relevance.

    For the RMSE, the true relevance is converted to the expert scale.
    """
    return {
        "pairs": len(true),
        "pearson": float(np.corrcoef(predicted, true)[0, 1]),
        "spearman": float(spearmanr(predicted, true).statistic),
        "RMSE": float(np.sqrt(np.mean((predicted - to_expert_scale(true)) ** 2))),
    }


def posterior_interval(ratings: pd.DataFrame) -> tuple[pd.Series, tuple[np.ndarray, np.ndarray]]:
    """Return the mean and the central interval of the posterior relevance of each expert-rated pair.

    Args:
        ratings: table RATINGS.

    Returns:
        The posterior mean by image_id and query_id, and the lower and upper bounds of the interval.
    """
    model = fit_graded_response(ratings)
    patterns = model.find_patterns(ratings)
    has_expert = patterns.stratum[patterns.pattern_of_pair] != Stratum.CROWD
    cumulative = np.cumsum(model.posterior(patterns), axis=1)
    tail = (1 - COVERAGE) / 2
    points = [np.minimum((cumulative < share).sum(axis=1), cumulative.shape[1] - 1) for share in (tail, 1 - tail)]
    mean = model.posterior_moments(patterns)[0][patterns.pattern_of_pair]
    low, high = (model.grid_relevance[point][patterns.pattern_of_pair][has_expert] for point in points)
    return pd.Series(mean, index=pd.MultiIndex.from_frame(patterns.pairs))[has_expert], (low, high)


def to_expert_scale(true: np.ndarray) -> np.ndarray:
    """Convert the true relevance to the mean rating of the simulated experts (without lapses), scaled to 0..1."""
    total = np.zeros(len(true))
    for expert in EXPERTS:
        perceived = 1 + 3 * true + expert.bias
        for threshold in (1.5, 2.5, 3.5):
            total += norm.sf(threshold, perceived, expert.noise)
    return total / (3 * len(EXPERTS))


if __name__ == "__main__":
    main()
