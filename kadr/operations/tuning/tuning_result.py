"""The result of a hyperparameter search."""

from dataclasses import dataclass

from kadr.metrics import Interval
from kadr.operations.tuning.study import Settings


@dataclass(frozen=True)
class TuningResult:
    """The result of a hyperparameter search.

    Attributes:
        best: the settings with the best mean agreement over the inner folds of all outer cells.
        tuned: agreement on the outer test pairs, each cell scored with the settings that its own study found.
        current: agreement on the same pairs with the settings of params.yaml.
        gain: tuned - current, with its paired bootstrap interval by image. None if no test pair is rated.
    """

    best: Settings
    tuned: float
    current: float
    gain: Interval | None
