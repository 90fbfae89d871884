"""The library room's part of `kadr doctor`: what is missing or misconfigured on this machine and in this project.

Checks read; they change nothing. What DVC, MLflow and Prefect say is in kadr/operations/doctor/tools.py.
"""

from kadr.operations.doctor.finding import Finding, note, ok, wrong
from kadr.operations.doctor.machine import (
    check_cores,
    check_disks,
    check_folders,
    check_packages,
    check_precision,
    check_python,
)
from kadr.operations.doctor.project import check_cache, check_encoders, check_indexes, check_params, check_source

__all__ = [
    "Finding",
    "check_cache",
    "check_cores",
    "check_disks",
    "check_encoders",
    "check_folders",
    "check_indexes",
    "check_packages",
    "check_params",
    "check_precision",
    "check_python",
    "check_source",
    "note",
    "ok",
    "wrong",
]
