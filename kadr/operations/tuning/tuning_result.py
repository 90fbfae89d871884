"""The result of a hyperparameter search."""

from dataclasses import dataclass

from kadr.metrics import Interval
from kadr.operations.tuning.study import Settings


@dataclass(frozen=True)
class TuningResult:
    """The result of a hyperparameter search.

    Attributes:
        best: settings with the highest mean agreement in the inner folds of all outer cells.
        tuned: agreement on the outer test pairs. Each cell uses the best settings of its study.
        current: agreement on the outer test pairs with the settings in params.yaml.
        gain: tuned - current, with a paired bootstrap interval over images. None if no test pair is rated.
    """

    best: Settings
    tuned: float
    current: float
    gain: Interval | None
