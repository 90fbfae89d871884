"""Measure the speed of the image checks in the `ingest` stage, and the time and memory of the whole stage.

    python benchmarks/ingest.py images [FOLDER]   # image checks compared with a PIL loop: a minute
    python benchmarks/ingest.py stage [FOLDER]    # the stage with 1,000 images and 50,000 ratings: half a minute
    python benchmarks/ingest.py rows              # the stage with 5 million rows of ratings: several minutes

FOLDER is a folder of JPEG files. The default is ../shared/flickr8k/corpus_images. All output is written to temporary
folders.
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
IMAGES = PROJECT.parent / "shared/flickr8k/corpus_images"
N_IMAGES, N_LARGE_IMAGES, N_RATINGS, N_ROWS = 1_000, 100, 50_000, 5_000_000
N_RATERS = 200
CAMERA_SIZE = (2400, 1600)
MAX_PIXELS = 10**9

app = typer.Typer(add_completion=False, help=__doc__)
ImageFolder = Annotated[Path, typer.Argument(help="Folder of JPEG files.")]


@app.command()
def images(folder: ImageFolder = IMAGES, rounds: int = 3) -> None:
    """Compare the speed of the image checks with a PIL loop, on the original images and on enlarged images."""
    from kadr.ingest.image_folders import read_image_folder

    paths = [image.path for image in read_image_folder(str(folder.parent), folder.name, "corpus").images[:N_IMAGES]]
    _compare_with_pil("in original size", paths, rounds)
    with tempfile.TemporaryDirectory() as name:
        for path in paths[:N_LARGE_IMAGES]:
            with Image.open(path) as image:
                image.resize(CAMERA_SIZE).save(Path(name) / Path(path).name, quality=90)
        large_paths = [str(path) for path in sorted(Path(name).iterdir())]
        _compare_with_pil(f"enlarged to {CAMERA_SIZE[0]} x {CAMERA_SIZE[1]}", large_paths, rounds)


def _compare_with_pil(description: str, paths: list[str], rounds: int) -> None:
    """Measure the PIL loop and the image checks alternately. Print the median speeds and the median ratio."""
    from kadr.ingest.image_checks import ImageFile, check_images

    image_files = [ImageFile(path, path, "corpus") for path in paths]
    check_images(image_files[:50], MAX_PIXELS)  # warm-up: imports modules
    pil_rates, kadr_rates = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        for path in paths:
            with Image.open(path) as image:
                image.convert("RGB")
        middle = time.perf_counter()
        check_images(image_files, MAX_PIXELS)
        pil_rates.append(len(paths) / (middle - start))
        kadr_rates.append(len(paths) / (time.perf_counter() - middle))
    ratio = statistics.median(kadr / pil for kadr, pil in zip(kadr_rates, pil_rates, strict=True))
    typer.echo(
        f"{len(paths):,} images {description}: PIL {statistics.median(pil_rates):,.0f}/s, "
        f"kadr {statistics.median(kadr_rates):,.0f}/s, ratio {ratio:.2f} "
        f"({len(os.sched_getaffinity(0))} cores, {rounds} rounds; kadr also computes hashes and quality measures)"
    )


@app.command()
def stage(folder: ImageFolder = IMAGES) -> None:
    """Measure the `ingest` stage with 1,000 images and 50,000 ratings. The time includes imports."""
    with _temporary_project() as project:
        for number, path in enumerate(itertools.islice(sorted(folder.iterdir()), N_IMAGES)):
            _copy_image(path, project, number)
        _write_single_file(project, N_RATINGS // 4)  # each row contains four ratings
        _run_stage(project)


@app.command()
def rows(n: int = N_ROWS) -> None:
    """Measure the `ingest` stage with N rows of one rating each, and then with N rows of four ratings each."""
    for write_ratings, description in (
        (_write_long_file, "rows of one rating"),
        (_write_single_file, "rows of three expert ratings and a crowd share"),
    ):
        with _temporary_project() as project:
            image_path = project / "small.jpg"
            Image.effect_noise((64, 64), 60).save(image_path)
            for number in range(N_IMAGES):
                _copy_image(image_path, project, number)
            write_ratings(project, n)
            typer.echo(f"{n:,} {description}:")
            _run_stage(project)


@contextmanager
def _temporary_project() -> Iterator[Path]:
    """Yield a temporary project folder with settings for the `ingest` stage."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
        settings["ingest"] |= {"source": "raw", "format": "auto", "corpus": None}
        (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        (folder / "expectations").symlink_to(PROJECT / "expectations")
        for split in ("train", "test"):
            (folder / "raw" / f"{split}_images").mkdir(parents=True)
        yield folder


def _copy_image(path: Path, project: Path, number: int) -> None:
    split = "test" if number == 0 else "train"
    shutil.copy(path, project / "raw" / f"{split}_images" / f"{number:04d}.jpg")


def _make_pairs(n_pairs: int) -> tuple[pa.Array, pa.Array, np.random.Generator]:
    """Return the image names and texts of distinct pairs, and a random number generator."""
    image, text = np.arange(n_pairs) % (N_IMAGES - 1) + 1, np.arange(n_pairs) // (N_IMAGES - 1)
    names = pa.array([f"{number:04d}.jpg" for number in range(N_IMAGES)])
    texts = pa.array(
        [f"Text {number} of two dogs, one brown, that run over the grass ." for number in range(text[-1] + 1)]
    )
    return names.take(pa.array(image)), texts.take(pa.array(text)), np.random.default_rng(0)


def _write_long_file(project: Path, n_rows: int) -> None:
    images, texts, rng = _make_pairs(n_rows)
    names = pa.array([f"rater {number}" for number in range(N_RATERS)])
    raters = names.take(pa.array(rng.integers(N_RATERS, size=n_rows)))
    table = pa.table({"image": images, "text": texts, "rater": raters, "rating": rng.integers(1, 5, n_rows)})
    pcsv.write_csv(table, project / "raw" / "ratings_long.csv")


def _write_single_file(project: Path, n_rows: int) -> None:
    images, texts, rng = _make_pairs(n_rows)
    ratings = {f"rate_{number}": rng.integers(1, 5, n_rows) for number in (1, 2, 3)}
    table = pa.table({"img_id": images, "text": texts, **ratings, "crowd_rates": rng.integers(0, 5, n_rows) / 4})
    pcsv.write_csv(table, project / "raw" / "train_dataset.csv")


def _run_stage(project: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tasks.ingest"], cwd=project, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise typer.Exit(1)
    typer.echo(f"{seconds:.1f} s, peak memory {usage.ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    app()
