"""Synthetic sample data: rendered images, captions and simulated ratings whose true relevance is known.

`write_sample` writes the data set and returns a `SampleSummary`. `PLANTED_DEFECTS` describes the intentional defects.
"""

from kadr.sample.planted_defects import PLANTED_DEFECTS, PlantedDefects
from kadr.sample.sample_writer import N_CORPUS, N_TEST, N_TRAIN, SampleError, SampleSummary, write_sample

__all__ = [
    "N_CORPUS",
    "N_TEST",
    "N_TRAIN",
    "PLANTED_DEFECTS",
    "PlantedDefects",
    "SampleError",
    "SampleSummary",
    "write_sample",
]
