"""Rating scale of the annotation mode: the scale of the expert ratings of the project."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_MAX_STEPS = 11
_N_COARSE_STEPS = 5


@dataclass(frozen=True)
class AnnotationScale:
    """Lowest and highest rating that a rater can give on the web page.

    Attributes:
        minimum: rating of a text that does not fit the image.
        maximum: rating of a text that fits the image completely.
    """

    minimum: float = 1.0
    maximum: float = 4.0

    @property
    def steps(self) -> list[float]:
        """Ratings that the page offers: the whole steps of the scale, or five ratings on long and fractional scales.

        >>> AnnotationScale(0, 100).steps
        [0.0, 25.0, 50.0, 75.0, 100.0]
        """
        n_steps = self.maximum - self.minimum + 1
        is_short = float(n_steps).is_integer() and 2 < n_steps <= _MAX_STEPS
        steps = np.linspace(self.minimum, self.maximum, int(n_steps) if is_short else _N_COARSE_STEPS)
        return [float(step) for step in steps]


def read_annotation_scale(metrics: Path) -> AnnotationScale:
    """Return the scale of the expert ratings in metrics/ingest.json, or 1 to 4 if the file does not contain a scale.

    Args:
        metrics: path of metrics/ingest.json. The file does not have to exist.
    """
    try:
        scale = json.loads(metrics.read_text(encoding="utf-8"))["rating_scales"]["expert"]
        return AnnotationScale(float(scale["minimum"]), float(scale["maximum"]))
    except (OSError, ValueError, KeyError, TypeError):
        return AnnotationScale()
