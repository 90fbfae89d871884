"""Run the commands of docs/learn.md with images from Flickr8k and a local CLIP model."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

from kadr.serve.ratings_file import NewRating, RatingsFile
from tests.conftest import SMALL_SETTINGS, FinishedProject, run
from tests.test_docs import read_blocks

pytestmark = pytest.mark.slow

N_PHOTOS = 40
PAGE = Path(__file__).parents[1] / "docs/learn.md"

ONE_PROCESS = """
import runpy, shlex, sys
for command in sys.argv[1:]:
    sys.argv = shlex.split(command)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""Program that runs several modules, each with its arguments, in one process."""


def commands_per_block(page: Path) -> list[list[str]]:
    """Return the commands in each bash code block of a page."""
    return [
        [line.split("  #")[0].strip() for line in block.splitlines() if not line.startswith("#")]
        for block in read_blocks(page, "bash")
    ]


@pytest.fixture
def own_photos(tmp_path: Path, shared: Path) -> Path:
    """Return a folder with `photos` and `captions.csv`, made from 40 captioned images of Flickr8k."""
    rated = shared / "flickr8k" / "train_images"
    texts = pd.read_csv(shared / "flickr8k" / "train_dataset.csv").drop_duplicates("query_id").sort_values("query_id")
    captions = pd.DataFrame({"photo": texts["query_id"].str.split("#").str[0], "caption": texts["query_text"]})
    captions = captions[[(rated / name).is_file() for name in captions["photo"]]].head(N_PHOTOS)
    captions.to_csv(tmp_path / "captions.csv", index=False)
    (tmp_path / "photos").mkdir()
    for name in captions["photo"]:
        shutil.copy(rated / name, tmp_path / "photos")
    return tmp_path


def run_stages(target: str, folder: Path, environment: dict[str, str]) -> str:
    """Run the stages of `dvc repro` in one process, which loads the large libraries only once."""
    commands = re.findall(
        r"(?m)^> python -m (tasks\..+)$", run(f"dvc repro {target} --dry --force", folder, environment)
    )
    quoted = " ".join(shlex.quote(command) for command in commands)
    return run(f"python -c {shlex.quote(ONE_PROCESS)} {quoted}", folder, environment)


def test_the_page_trains_and_searches(finished: FinishedProject, shared: Path, own_photos: Path) -> None:
    """Run the commands of the page with captions and one rating. The stages after `train` are not run."""
    folder, environment = finished.copy_to(own_photos / "kadr"), finished.environment
    local = "-S clip.source=local -S clip.init=FOLDER"
    assert local in PAGE.read_text(encoding="utf-8")
    local = local.replace("FOLDER", str(shared.resolve() / "encoders" / "clip-mobilenetv2-flickr8k"))
    small = " ".join(f"-S {override}" for override in SMALL_SETTINGS)

    def run_command(command: str) -> str:
        command = command.replace("~/photos", str(own_photos / "photos")).replace(
            " captions.csv", f" {own_photos / 'captions.csv'}"
        )
        return run(f"{command} {local} {small}" if command.startswith("kadr use") else command, folder, environment)

    (write, use_captions, repro, show, search, index, search_all), (serve, repro_again) = commands_per_block(PAGE)
    assert (repro, show, serve, repro_again) == ("dvc repro", "kadr show", "kadr serve", "dvc repro")
    (example,) = read_blocks(PAGE, "csv captions.csv")
    assert example.splitlines()[0] == (own_photos / "captions.csv").read_text(encoding="utf-8").splitlines()[0]
    run_command(write)
    dataset = folder / "data/raw/mine"
    pairs = pd.read_csv(dataset / "train_dataset.csv")
    assert set(pairs["img_id"]) == {path.name for path in (dataset / "train_images").iterdir()}
    assert pairs.groupby("text")["rate_1"].agg(lambda ratings: (ratings == 4).sum()).eq(1).all()
    assert not pairs.duplicated(["img_id", "text"]).any()
    RatingsFile(dataset / "ratings_long.csv").append(
        NewRating(*pairs.loc[0, ["img_id", "text"]], rater="ann", rating=3)
    )

    run_command(use_captions)
    run_stages("train index", folder, environment)
    raters = json.loads((folder / "metrics/aggregate.json").read_text(encoding="utf-8"))["agreement"]["raters"]
    assert {name: rater["n_ratings"] for name, rater in raters.items()} == {"rate_1": len(pairs), "ann": 1}
    assert "data/raw/mine" in run_command(search)
    assert f"{N_PHOTOS} photos" in run_command(index)
    assert str(own_photos / "photos") in run_command(search_all)
