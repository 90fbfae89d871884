"""The gates: a model that is worse than a rival by more than noise does not pass."""

import logging
from collections.abc import Iterator, Sequence

from kadr.errors import GateError
from kadr.metrics.bootstrap import Interval
from kadr.metrics.evaluation import Figures, differences

logger = logging.getLogger(__name__)

LOWER_IS_BETTER = ("rmse", "ece")


def worse(model: Figures, rival: str, theirs: Figures, names: Sequence[str]) -> Iterator[str]:
    """A sentence for each figure of `names` whose whole interval of model less rival lies on the worse side of 0.

    Args:
        model: its figures.
        rival: what the rival is called.
        theirs: the rival's figures, of the same rows.
        names: what is compared; a figure that one of the two does not have is passed, with a warning.
    """
    gaps = differences(model, theirs)
    for name in names:
        if name not in gaps:
            logger.warning("evaluate.gates: %s is not compared with %s, as not both have it", name, rival)
    for name, gap in gaps.items():
        if name in names and (gap.low > 0 if name in LOWER_IS_BETTER else gap.high < 0):
            yield (
                f"{name}: {_value(model[name])}, {rival} {_value(theirs[name])}; the difference of {gap.value:+.3g} is "
                f"more than noise ({gap.confidence:.0%} interval {gap.low:+.3g} to {gap.high:+.3g})"
            )


def _value(figure: Interval | None) -> str:
    return f"{figure.value:.4g}" if figure else "none"


def hold(failed: Sequence[str]) -> None:
    """Raise GateError where there is a sentence of `worse`."""
    if failed:
        raise GateError(
            "the model does not pass evaluate.gates:\n"
            + "\n".join(f"  {line}" for line in failed)
            + "\nAll figures are in metrics/evaluate.json, and nothing is lost. Change train.*, the encoders or the "
            "ratings and run `dvc repro`; or, where you want this model all the same, loosen evaluate.gates"
        )
