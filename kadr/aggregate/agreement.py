"""The aggregate part's agreement: how far experts agree with each other and with the crowd, and how noisy each is."""

import numpy as np
import pandas as pd

from kadr.aggregate.graded_response import GradedResponse
from kadr.aggregate.response_patterns import BOTH, CROWD, EXPERTS, Matrix, Values, nearest
from kadr.io.schemas import PAIR, on_unit

MAX_RATERS = 50  # named in the figures, the least reliable first


def agreement(ratings: pd.DataFrame, model: GradedResponse) -> dict[str, object]:
    """The figures of agreement and noise.

    Args:
        ratings: columns of RATINGS.
        model: fitted on them.

    Returns:
        `krippendorff_alpha`: of the experts, ordinal (Krippendorff 2004); `icc`: of a single expert rating, one-way
        random effects (Shrout and Fleiss 1979, ICC(1,1)), `icc_mean`: of the mean of a pair's; `crowd_correlation`:
        of the votes of one pair beyond what its relevance explains; `sd`: how far off one is, on 0..1, before anybody
        rated a pair, after one expert, after the usual number of votes; `crowd_by_expert`: pairs by the experts' mean
        (rounded to a level) and the crowd's majority; `raters`: leniency, lapses and ratings of each known rater.
        None where there is no such figure.
    """
    counts = _level_counts(ratings, model)
    several = counts[counts.sum(axis=1) > 1]
    return {
        "krippendorff_alpha": _alpha(several, model.levels),
        **_icc(several, model.levels),
        "crowd_correlation": model.votes.correlation if (ratings["source"] == "crowd").any() else None,
        "sd": _sd_after(ratings, model),
        "crowd_by_expert": _confusion(ratings, model.levels),
        "raters": _raters(model),
    }


def _level_counts(ratings: pd.DataFrame, model: GradedResponse) -> Matrix:
    """(n_pairs, K) how many experts gave each level."""
    patterns, n_levels = model.patterns(ratings), len(model.levels)
    level_of_cell = np.tile(np.eye(n_levels), (patterns.cells.shape[1] // n_levels, 1))
    return np.asarray(patterns.cells @ level_of_cell)[patterns.of_pair]


def _alpha(counts: Matrix, levels: Values) -> float | None:
    import krippendorff

    if (counts.sum(axis=0) > 0).sum() < 2:
        return None
    return float(krippendorff.alpha(value_counts=counts, value_domain=levels, level_of_measurement="ordinal"))


def _icc(counts: Matrix, levels: Values) -> dict[str, float | None]:
    n_raters, n_pairs = counts.sum(axis=1), len(counts)
    if n_pairs < 2 or (counts.sum(axis=0) > 0).sum() < 2:
        return {"icc": None, "icc_mean": None}
    mean = counts @ levels / n_raters
    within = float((counts @ levels**2 - n_raters * mean**2).sum() / (n_raters - 1).sum())
    grand = float(n_raters @ mean / n_raters.sum())
    between = float(n_raters @ (mean - grand) ** 2 / (n_pairs - 1))
    usual = float((n_raters.sum() - (n_raters**2).sum() / n_raters.sum()) / (n_pairs - 1))
    return {
        "icc": (between - within) / (between + (usual - 1) * within),
        "icc_mean": (between - within) / between if between > 0 else None,
    }


def _sd_after(ratings: pd.DataFrame, model: GradedResponse) -> dict[str, float]:
    """Expected posterior deviation before any rating, after one expert's, and after the crowd's usual votes."""
    crowd = ratings[ratings["source"] == "crowd"]
    has_expert = len(crowd) < len(ratings)
    mass = model.mass[BOTH if len(crowd) and has_expert else EXPERTS if has_expert else CROWD]
    found = {"before": _expected_sd(mass[:, None], model.relevance)}
    if has_expert:
        found["after_one_expert"] = _expected_sd(mass[:, None] * model.chances[0].T, model.relevance)
    if len(crowd):
        patterns = model.patterns(crowd)
        usual = float(np.median(patterns.votes[patterns.vote][patterns.of_pair, 1]))
        yes = np.arange(round(usual) + 1, dtype=float)
        every = np.column_stack([yes, np.full(len(yes), round(usual))])
        chance = _binomials(round(usual))[:, None] * np.exp(model.votes.log_chances(every))
        found[f"after_{round(usual)}_votes"] = _expected_sd(mass[:, None] * chance.T, model.relevance)
    return found


def _binomials(n: int) -> Values:
    from scipy.special import comb

    return np.asarray(comb(n, np.arange(n + 1)))


def _expected_sd(joint: Matrix, relevance: Values) -> float:
    """Root of the mean posterior variance where `joint` (N_GRID, outcomes) is the chance of place and outcome."""
    total = joint.sum(axis=0)
    mean = relevance @ joint / total
    return float(np.sqrt(max((relevance**2 @ joint - total * mean**2).sum() / total.sum(), 0.0)))


def _confusion(ratings: pd.DataFrame, levels: Values) -> dict[str, dict[str, int]]:
    """The experts' level -> the crowd's majority (no, split, yes) -> pairs that both rated."""
    scaled = ratings[[*PAIR, "source", "votes"]].assign(unit=on_unit(ratings) * ratings["votes"])
    sums = scaled.groupby([*PAIR, "source"], observed=True)[["unit", "votes"]].sum()
    mean = (sums["unit"] / sums["votes"]).unstack("source").dropna()
    if not {"expert", "crowd"} <= set(mean.columns) or mean.empty:
        return {}
    level = nearest(levels, mean["expert"])
    said = np.sign(mean["crowd"].round(6) - 0.5).map({-1.0: "no", 0.0: "split", 1.0: "yes"})
    names = [f"{level:.2f}" for level in levels[level]]
    table = pd.crosstab(np.array(names), said.to_numpy()).reindex(columns=["no", "split", "yes"], fill_value=0)
    return {str(at): {str(name): int(n) for name, n in row.items()} for at, row in table.iterrows()}


def _raters(model: GradedResponse) -> dict[str, dict[str, float]]:
    """Of each known rater: ratings, leniency, lapses, and how far a rating is from the relevance; on 0..1."""
    chances, graded = model.graded.chances(), model.graded
    weight = model.mass[[EXPERTS, BOTH]].mean(axis=0)
    found = {}
    for at, name in enumerate(model.raters, start=1):
        says = model.levels @ -np.diff(graded.at_least(graded.leniency[at : at + 1]), axis=1)[0]
        off = (model.levels[:, None] - model.relevance) ** 2 * chances[at]
        found[name] = {
            "n_ratings": int(model.n_ratings[at]),
            "leniency": float(weight @ (says - model.relevance)),
            "lapses": float(1 / (1 + np.exp(-graded.lapse[at]))),
            "noise": float(np.sqrt(weight @ off.sum(axis=0))),
        }
    worst = sorted(found, key=lambda name: (-found[name]["noise"], name))[:MAX_RATERS]
    return {name: found[name] for name in worst}
