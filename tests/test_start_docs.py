"""docs/start.md: its commands and its script, run on real photos and a CLIP from a folder."""

import csv
import json
import re
import shutil
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import SMALL, Finished, run
from tests.test_docs import blocks
from tests.test_readme import ask, serving

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
    source = shared / "flickr8k"
    texts = pd.read_csv(source / "train_dataset.csv").drop_duplicates("query_id").sort_values("query_id")
    (tmp_path / "photos").mkdir()
    with (tmp_path / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["photo", "caption"])
        own = (
            (source / "train_images" / query_id.rsplit("#")[0], text)
            for query_id, text in zip(texts["query_id"], texts["query_text"], strict=True)
        )
        for path, text in [(path, text) for path, text in own if path.is_file()][:N_PHOTOS]:
            shutil.copy(path, tmp_path / "photos")
            rows.writerow([path.name, text])
    return tmp_path


def test_the_page(finished: Finished, shared: Path, own: Path) -> None:
    """Photos are searched, captions become a model, a mark becomes a rating."""
    folder, environment = finished.copy_to(own / "kadr"), finished.environment
    local = "-S clip.source=local -S clip.init=FOLDER"
    assert local in PAGE.read_text(encoding="utf-8")
    local = local.replace("FOLDER", str(shared.resolve() / "encoders" / "clip-mobilenetv2-flickr8k"))
    small = " ".join(f"-S {override}" for override in SMALL)

    def typed(command: str) -> str:
        command = command.replace("~/photos", str(own / "photos")).replace(" captions.csv", f" {own / 'captions.csv'}")
        return run(f"{command} {local} {small}" if command.startswith("kadr use") else command, folder, environment)

    (use, obtain, index, search, serve), (write, use_captions, repro, show, find), (judge, learn) = commands_of(PAGE)
    assert serve.startswith(judge)
    for command in (use, obtain):
        typed(command)
    assert f"{N_PHOTOS} photos" in typed(index)
    assert str(own / "photos") in typed(search)

    (script,) = blocks(PAGE, "python")
    (folder / "captions.py").write_text(script, encoding="utf-8")
    typed(write)
    made = pd.read_csv(folder / "data/raw/mine/train_dataset.csv")
    assert set(made["img_id"]) == {path.name for path in (folder / "data/raw/mine/train_images").iterdir()}
    assert made.groupby("text")["rate_1"].agg(lambda ratings: (ratings == 4).sum()).eq(1).all()
    assert not made.duplicated(["img_id", "text"]).any()
    typed(use_captions)
    typed(f"{repro} evaluate index")  # of the pages of stage report are tests of their own
    assert "recall@1" in typed(show)
    assert "data/raw/mine" in typed(find)

    photo, text = made.iloc[0][["img_id", "text"]]
    with serving(f"{judge} --port", folder, environment) as address:
        assert '"status":"ok"' in ask(f"{address}/health")
        mark = {"image_id": photo, "text": text, "rater": "ann", "rating": 3}
        request = urllib.request.Request(
            f"{address}/ratings", json.dumps(mark).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request).close()
    typed(f"{learn} aggregate")
    raters = json.loads((folder / "metrics/aggregate.json").read_text(encoding="utf-8"))["agreement"]["raters"]
    assert {name: rater["n_ratings"] for name, rater in raters.items()} == {"rate_1": len(made), "ann": 1}


def test_the_shown_captions_are_read_by_the_script(tmp_path: Path) -> None:
    (rows,) = re.findall(r"```csv captions.csv\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "captions.csv").write_text(rows, encoding="utf-8")
    shown = pd.read_csv(tmp_path / "captions.csv")
    assert list(shown.columns) == ["photo", "caption"]
    assert shown["caption"].tolist() == ["Two dogs on a beach", "A man, a bicycle and a dog"]
