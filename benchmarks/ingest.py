"""How fast stage ingest checks photos, beside PIL in a plain loop, and what it needs at size.

    python benchmarks/ingest.py photos [FOLDER]      photos/s, both in one run, in turns
    python benchmarks/ingest.py stage [FOLDER]       the whole stage: 1,000 photos and 50,000 ratings
    python benchmarks/ingest.py rows                 the whole stage: 5 million rows of ratings

FOLDER has JPEG files; without it, ../shared/flickr8k/corpus_images. Nothing is left on disk.
"""

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import typer
import yaml
from PIL import Image

PROJECT = Path(__file__).parents[1]
PHOTOS = PROJECT.parent / "shared/flickr8k/corpus_images"
N_PHOTOS, N_LARGE, N_RATINGS, N_ROWS = 1_000, 100, 50_000, 5_000_000
CAMERA = (2400, 1600)

app = typer.Typer(add_completion=False)
Folder = Annotated[Path, typer.Argument(help="JPEG files.")]


@app.command()
def photos(folder: Folder = PHOTOS, rounds: int = 3) -> None:
    """Photos/s of the checks and of PIL in a plain loop, for the photos as they are and enlarged to a camera's size."""
    from kadr.ingest.image_checks import list_photos

    paths = [photo.path for photo in list_photos(str(folder.parent), folder.name, "corpus")[:N_PHOTOS]]
    _race("as they are", paths, rounds)
    with tempfile.TemporaryDirectory() as name:
        for path in paths[:N_LARGE]:
            with Image.open(path) as photo:
                photo.resize(CAMERA).save(Path(name) / Path(path).name, quality=90)
        _race(f"as JPEG of {CAMERA[0]} x {CAMERA[1]}", [str(path) for path in sorted(Path(name).iterdir())], rounds)


def _race(what: str, paths: list[str], rounds: int) -> None:
    """Both ways in turns; medians and their ratio."""
    from kadr.ingest.image_checks import Photo, check_photos

    listed = [Photo(path, path, "corpus") for path in paths]
    check_photos(listed[:50], 10**9)  # imports
    plain, ours = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        for path in paths:
            with Image.open(path) as image:
                image.convert("RGB")
        middle = time.perf_counter()
        check_photos(listed, 10**9)
        plain.append(len(paths) / (middle - start))
        ours.append(len(paths) / (time.perf_counter() - middle))
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, plain, strict=True))
    typer.echo(
        f"{len(paths):,} photos {what}: PIL {statistics.median(plain):,.0f}/s, kadr {statistics.median(ours):,.0f}/s, "
        f"ratio {ratio:.2f} ({len(os.sched_getaffinity(0))} cores, {rounds} rounds; kadr also hashes and measures)"
    )


@app.command()
def stage(folder: Folder = PHOTOS) -> None:
    """Seconds of the whole stage, imports included, for 1,000 photos and 50,000 ratings."""
    with _project() as project:
        for number, path in enumerate(itertools.islice(sorted(folder.iterdir()), N_PHOTOS)):
            _put(path, project, number)
        _write_single(project, N_RATINGS // 4)  # four ratings a row
        _run(project)


@app.command()
def rows(n: int = N_ROWS) -> None:
    """Seconds and peak memory of the whole stage for 5 million single ratings, and for as many rows of four."""
    for write, name in (
        (_write_long, "single ratings, a row each"),
        (_write_single, "rows of three experts and a crowd"),
    ):
        with _project() as project:
            small = project / "small.jpg"
            Image.effect_noise((64, 64), 60).save(small)
            for number in range(N_PHOTOS):
                _put(small, project, number)
            write(project, n)
            typer.echo(f"{n:,} {name}:")
            _run(project)


@contextmanager
def _project() -> Iterator[Path]:
    """A folder to run the stage in, removed afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
        settings["ingest"] |= {"source": "raw", "form": "auto", "corpus": None}
        (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        (folder / "expectations").symlink_to(PROJECT / "expectations")
        for split in ("train", "test"):
            (folder / "raw" / f"{split}_images").mkdir(parents=True)
        yield folder


def _put(photo: Path, project: Path, number: int) -> None:
    split = "test" if number == 0 else "train"
    shutil.copy(photo, project / "raw" / f"{split}_images" / f"{number:04d}.jpg")


def _pairs(n: int) -> tuple[pa.Array, pa.Array, np.random.Generator]:
    """Photos and texts of n different pairs, each text about as long as a caption."""
    photo, text = np.arange(n) % (N_PHOTOS - 1) + 1, np.arange(n) // (N_PHOTOS - 1)
    names = pa.array([f"{number:04d}.jpg" for number in range(N_PHOTOS)])
    texts = pa.array(
        [f"Text {number} of two dogs, one brown, that run over the grass ." for number in range(text[-1] + 1)]
    )
    return names.take(pa.array(photo)), texts.take(pa.array(text)), np.random.default_rng(0)


def _write_long(project: Path, n: int) -> None:
    images, texts, rng = _pairs(n)
    raters = pa.array([f"rater {number}" for number in range(200)]).take(pa.array(rng.integers(200, size=n)))
    table = pa.table({"image": images, "text": texts, "rater": raters, "rating": rng.integers(1, 5, n)})
    pcsv.write_csv(table, project / "raw" / "ratings_long.csv")


def _write_single(project: Path, n: int) -> None:
    images, texts, rng = _pairs(n)
    rates = {f"rate_{number}": rng.integers(1, 5, n) for number in (1, 2, 3)}
    table = pa.table({"img_id": images, "text": texts, **rates, "crowd_rates": rng.integers(0, 5, n) / 4})
    pcsv.write_csv(table, project / "raw" / "train_dataset.csv")


def _run(project: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "tasks.ingest"], cwd=project, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise typer.Exit(1)
    typer.echo(f"{seconds:.1f} s, peak memory {usage.ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    app()
