"""Quality gates: reject a model that is significantly worse than a baseline or the champion."""

import logging
from collections.abc import Iterator, Sequence

from kadr.errors import GateError
from kadr.metrics.bootstrap import Interval
from kadr.metrics.evaluation import Estimates, differences

logger = logging.getLogger(__name__)

LOWER_IS_BETTER = ("rmse", "ece")


def find_regressions(
    model: Estimates, reference_name: str, reference: Estimates, names: Sequence[str]
) -> Iterator[str]:
    """Yield a message for each metric on which the model is significantly worse than the reference.

    A metric is significantly worse if the whole interval of the paired difference lies on the worse side of 0.

    Args:
        model: the model's metrics.
        reference_name: name of the reference in messages, e.g. "baseline cosine".
        reference: metrics of a baseline or champion, computed on the same rows.
        names: metrics to compare. A metric that one side lacks is skipped with a warning.
    """
    by_metric = differences(model, reference)
    for name in names:
        if name not in by_metric:
            logger.warning(
                "evaluate.gates: %s is not compared with %s, because one of the two does not have this metric",
                name,
                reference_name,
            )
    for name, difference in by_metric.items():
        if name in names and (difference.low > 0 if name in LOWER_IS_BETTER else difference.high < 0):
            yield (
                f"{name} of the model is {_format(model[name])}, {reference_name} has {_format(reference[name])}; "
                f"difference {difference.value:+.3g} "
                f"({difference.confidence:.0%} interval {difference.low:+.3g} to {difference.high:+.3g})"
            )


def _format(interval: Interval | None) -> str:
    return f"{interval.value:.4g}" if interval else "undefined"


def enforce(regressions: Sequence[str]) -> None:
    """Raise GateError if `find_regressions` found any."""
    if regressions:
        raise GateError(
            "The model does not pass evaluate.gates.\n"
            + "\n".join(f"  {message}" for message in regressions)
            + "\nThe metrics are saved in metrics/evaluate.json. Improve the model (train.*, encoders or ratings) and "
            "run `dvc repro`. To accept this model, change evaluate.gates."
        )
