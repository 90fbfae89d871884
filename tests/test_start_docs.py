"""docs/start.md: its commands and its script, run on real photos and a CLIP from a folder."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from kadr.serve.ratings_file import NewRating, RatingsFile
from tests.conftest import SMALL_SETTINGS, FinishedProject, run
from tests.test_docs import blocks

pytestmark = pytest.mark.slow

N_PHOTOS = 40
PAGE = Path(__file__).parents[1] / "docs/start.md"


def commands_of(page: Path) -> list[list[str]]:
    """The commands of each bash block."""
    return [
        [line.split("  #")[0].strip() for line in block.splitlines() if not line.startswith("#")]
        for block in blocks(page, "bash")
    ]


@pytest.fixture
def own(tmp_path: Path, shared: Path) -> Path:
    """A folder with `photos` and `captions.csv`: the first rated photos of Flickr8k whose own caption is known."""
    rated = shared / "flickr8k" / "train_images"
    texts = pd.read_csv(shared / "flickr8k" / "train_dataset.csv").drop_duplicates("query_id").sort_values("query_id")
    captions = pd.DataFrame({"photo": texts["query_id"].str.split("#").str[0], "caption": texts["query_text"]})
    captions = captions[[(rated / name).is_file() for name in captions["photo"]]].head(N_PHOTOS)
    captions.to_csv(tmp_path / "captions.csv", index=False)
    (tmp_path / "photos").mkdir()
    for name in captions["photo"]:
        shutil.copy(rated / name, tmp_path / "photos")
    return tmp_path


def test_the_page(finished: FinishedProject, shared: Path, own: Path) -> None:
    """Captions and a mark become a model, and all photos are searched by it.

    To save time the CLIP is obtained once, by the `dvc repro` of the captions, and that goes as far as the model.
    """
    folder, environment = finished.copy_to(own / "kadr"), finished.environment
    local = "-S clip.source=local -S clip.init=FOLDER"
    assert local in PAGE.read_text(encoding="utf-8")
    local = local.replace("FOLDER", str(shared.resolve() / "encoders" / "clip-mobilenetv2-flickr8k"))
    small = " ".join(f"-S {override}" for override in SMALL_SETTINGS)

    def typed(command: str) -> str:
        command = command.replace("~/photos", str(own / "photos")).replace(" captions.csv", f" {own / 'captions.csv'}")
        return run(f"{command} {local} {small}" if command.startswith("kadr use") else command, folder, environment)

    (use, obtain, index, search, _), (write, use_captions, repro, *_), _ = commands_of(PAGE)
    typed(use)
    assert re.findall(r"Running stage '([^']+)'", typed(f"{obtain} --dry")) == ["clip"]  # its texts follow

    (shown,) = blocks(PAGE, "csv captions.csv")
    assert shown.splitlines()[0] == (own / "captions.csv").read_text(encoding="utf-8").splitlines()[0]
    (script,) = blocks(PAGE, "python")
    (folder / "captions.py").write_text(script, encoding="utf-8")
    typed(write)
    mine = folder / "data/raw/mine"
    made = pd.read_csv(mine / "train_dataset.csv")
    assert set(made["img_id"]) == {path.name for path in (mine / "train_images").iterdir()}
    assert made.groupby("text")["rate_1"].agg(lambda ratings: (ratings == 4).sum()).eq(1).all()
    assert not made.duplicated(["img_id", "text"]).any()
    RatingsFile(mine / "ratings_long.csv").append(NewRating(*made.loc[0, ["img_id", "text"]], rater="ann", rating=3))

    typed(use_captions)
    typed(f"{repro} train")
    raters = json.loads((folder / "metrics/aggregate.json").read_text(encoding="utf-8"))["agreement"]["raters"]
    assert {name: rater["n_ratings"] for name, rater in raters.items()} == {"rate_1": len(made), "ann": 1}
    assert f"{N_PHOTOS} photos" in typed(index)
    assert str(own / "photos") in typed(search)
