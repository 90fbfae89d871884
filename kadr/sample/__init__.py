"""The embedded sample data: composed photos, captions and ratings whose truth is known.

Call `write_sample(folder)`; `SampleSummary` says what it holds, `PLANTED` the defects it carries on purpose.
"""

from kadr.sample.defects import PLANTED, Planted
from kadr.sample.sample_folder import SampleError
from kadr.sample.write import N_CORPUS, N_TEST, N_TRAIN, SampleSummary, write_sample

__all__ = [
    "N_CORPUS",
    "N_TEST",
    "N_TRAIN",
    "PLANTED",
    "Planted",
    "SampleError",
    "SampleSummary",
    "write_sample",
]
