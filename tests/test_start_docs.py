"""Run the commands and the script of docs/start.md with images from Flickr8k and a local CLIP model."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from kadr.serve.ratings_file import NewRating, RatingsFile
from tests.conftest import SMALL_SETTINGS, FinishedProject, run
from tests.test_docs import read_blocks

pytestmark = pytest.mark.slow

N_PHOTOS = 40
PAGE = Path(__file__).parents[1] / "docs/start.md"


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


def test_the_page_trains_and_searches(finished: FinishedProject, shared: Path, own_photos: Path) -> None:
    """Run the commands of the page with captions and one rating.

    To save time, the first `dvc repro` is a dry run, and the second one stops after stage `train`.
    """
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

    (use, obtain, index, search, _), (write, use_captions, repro, *_), _ = commands_per_block(PAGE)
    run_command(use)
    stages = re.findall(r"Running stage '([^']+)'", run_command(f"{obtain} --dry"))
    assert stages == ["clip"]  # embed_texts@clip runs only if the CLIP model has changed

    (example,) = read_blocks(PAGE, "csv captions.csv")
    assert example.splitlines()[0] == (own_photos / "captions.csv").read_text(encoding="utf-8").splitlines()[0]
    (script,) = read_blocks(PAGE, "python")
    (folder / "captions.py").write_text(script, encoding="utf-8")
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
    run_command(f"{repro} train")
    raters = json.loads((folder / "metrics/aggregate.json").read_text(encoding="utf-8"))["agreement"]["raters"]
    assert {name: rater["n_ratings"] for name, rater in raters.items()} == {"rate_1": len(pairs), "ann": 1}
    assert f"{N_PHOTOS} photos" in run_command(index)
    assert str(own_photos / "photos") in run_command(search)
