"""Synthetic sample data: rendered images with captions, simulated ratings and known true relevance.

`write_sample` writes the sample dataset and returns a `SampleSummary`. `PLANTED_DEFECTS` describes the defects that the
dataset contains on purpose.
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
