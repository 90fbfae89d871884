"""Which way to aggregate ratings predicts best what one more expert says. docs/ratings.md has the protocol.

python -m benchmarks.ratings                                        # the run's data/tables/ratings.parquet
python -m benchmarks.ratings --truth data/raw/sample/truth.parquet  # also: how near the drawn sample's truth
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.truth import nearness
from kadr.aggregate.judge import leave_one_out
from kadr.metrics import bootstrap
from kadr.schemas import RATINGS, read_table
from tasks import paths

N_FOLDS, SEED, N_BOOTSTRAP, CONFIDENCE = 5, 0, 300, 0.95
OURS = "graded_response"

Figure = Callable[[np.ndarray], float]


def main() -> None:
    """Print the losses, and the nearness to the truth where it is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, help="truth.parquet of the drawn sample")
    truth = parser.parse_args().truth
    ratings = read_table(paths.RATINGS, RATINGS).to_pandas()
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
            own, ours = table[loss][method].to_numpy(), table[loss][OURS].to_numpy()
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


if __name__ == "__main__":
    main()
