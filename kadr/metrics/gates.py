"""Quality gates, which reject a model that is significantly worse than a baseline or a champion."""

import logging
from collections.abc import Iterator, Sequence

from kadr.errors import GateError
from kadr.metrics.bootstrap import Interval
from kadr.metrics.evaluation import Estimates, differences
from kadr.project import PROJECT

logger = logging.getLogger(__name__)

LOWER_IS_BETTER = ("rmse", "ece")


def find_regressions(
    model: Estimates, reference_name: str, reference: Estimates, names: Sequence[str]
) -> Iterator[str]:
    """Yield a message for each metric on which the model is significantly worse than the reference.

    The model is significantly worse if the confidence interval of the paired difference excludes 0 and the difference
    favours the reference.

    Args:
        model: metrics of the model.
        reference_name: name of the reference in messages, e.g. "baseline cosine".
        reference: metrics of a baseline or a champion, computed on the same rows as the model's metrics.
        names: names of the metrics to compare. A metric that is undefined for the model or the reference is skipped
            with a warning.
    """
    by_metric = differences(model, reference)
    for name in names:
        if name not in by_metric:
            logger.warning(
                "evaluate.gates: metric %s is not compared with %s because it is undefined for the model or for %s",
                name,
                reference_name,
                reference_name,
            )
    for name, difference in by_metric.items():
        if name in names and (difference.low > 0 if name in LOWER_IS_BETTER else difference.high < 0):
            yield (
                f"{name} is {_format(model[name])} for the model and {_format(reference[name])} for {reference_name}: "
                f"difference {difference.value:+.3g} "
                f"({difference.confidence:.0%} interval {difference.low:+.3g} to {difference.high:+.3g})"
            )


def _format(interval: Interval | None) -> str:
    return f"{interval.value:.4g}" if interval else "undefined"


def enforce(regressions: Sequence[str]) -> None:
    """Raise GateError if `find_regressions` returned any messages."""
    if regressions:
        raise GateError(
            "The model does not pass the quality gates in evaluate.gates. A model fails if it is significantly worse "
            "than a reference: the interval of the difference excludes 0.\n"
            + "\n".join(f"  {message}" for message in regressions)
            + "\nThe metrics are saved in metrics/evaluate.json. To improve the model, change the encoders, ratings "
            "or training settings, and run `dvc repro`. To accept the model, change evaluate.gates.",
            evidence=[PROJECT.metrics / "evaluate.json"],
        )
