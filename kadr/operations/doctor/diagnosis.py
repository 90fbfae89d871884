"""Run all checks of `kadr doctor`."""

from collections.abc import Iterator
from pathlib import Path

from kadr.embed.cache import cache_root
from kadr.operations.doctor import machine_checks, project_checks
from kadr.operations.doctor.dvc_checks import check_dvc
from kadr.operations.doctor.finding import Finding
from kadr.operations.doctor.index_checks import check_indexes
from kadr.operations.doctor.service_checks import check_mlflow, check_prefect
from kadr.project import PROJECT

LOCK_FILE = Path("requirements.lock")
WRITTEN_FOLDERS = (Path(), Path("data"), PROJECT.models, Path("reports"), PROJECT.metrics, Path(".dvc/tmp"))


def diagnose() -> Iterator[Finding]:
    """Yield the findings of all checks. Checks that need params.yaml are skipped if that file is not valid."""
    yield from machine_checks.check_python()
    yield from machine_checks.check_packages(LOCK_FILE)
    params, findings = project_checks.check_params(PROJECT.params)
    yield from findings
    root = cache_root()
    folders = [*WRITTEN_FOLDERS, *([] if "://" in root else [Path(root)])]
    yield from machine_checks.check_folders(folders)
    yield from machine_checks.check_disks(folders)
    yield from project_checks.check_cache(root)
    if params:
        yield from project_checks.check_source(params.ingest)
        yield from project_checks.check_encoders(params.embed_images, params.embed_texts, params.clip)
        yield from check_dvc()
        yield from check_indexes(params)
        yield from machine_checks.check_cores(params.train.num_threads)
    yield from machine_checks.check_precision()
    yield from check_mlflow()
    yield from check_prefect()
