"""What is stale, missing or misconfigured, and the command that mends it: `kadr doctor`, `kadr doctor`.

It is here and not in kadr/, because the library room never imports DVC and MLflow.
"""

from collections.abc import Iterator
from pathlib import Path

from kadr.embed.cache import cache_root
from kadr.operations import doctor
from kadr.operations.doctor import Finding
from kadr.operations.doctor.tools import check_dvc, check_mlflow, check_prefect
from kadr.project import PROJECT

PARAMS, LOCK = Path("params.yaml"), Path("requirements.lock")
WRITTEN = (Path(), Path("data"), Path("models"), Path("reports"), PROJECT.metrics, Path(".dvc/tmp"))
INDEXES = {PROJECT.index: "dvc repro index", Path("models/photos"): "kadr index PHOTOS"}
STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


def findings() -> Iterator[Finding]:
    """What each check sees; those that need valid params are left out where these are not."""
    yield from doctor.check_python()
    yield from doctor.check_packages(LOCK)
    params, found = doctor.check_params(PARAMS)
    yield from found
    root = cache_root()
    folders = [*WRITTEN, *([] if "://" in root else [Path(root)])]
    yield from doctor.check_folders(folders)
    yield from doctor.check_disks(folders)
    yield from doctor.check_cache(root)
    if params:
        yield from doctor.check_source(params)
        yield from doctor.check_encoders(params, PROJECT.clip)
        yield from check_dvc()
        yield from doctor.check_indexes(
            params, PROJECT.image_embeddings, {p: c for p, c in INDEXES.items() if p.exists()}
        )
        yield from doctor.check_cores(params)
    yield from doctor.check_precision()
    yield from check_mlflow()
    yield from check_prefect()
