"""Tests of `kadr search`, `similar` and `recommend` on an index of photos with dates, places and cameras.

The CLIP model is small and has random weights.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from kadr.cli import main as cli
from kadr.cli.filter_options import FILTER_OPTIONS, SortOption
from kadr.clip.checkpoint import save_checkpoint
from kadr.encoders.open_clip_models import load_clip, read_config
from kadr.search import SORTS, Filters

PHOTOS = [  # name, date, camera, latitude and longitude
    ("2023/snow/IMG_9.jpg", "2023:01:04 10:00:00", "Canon", (48, 2)),
    ("2023/snow/IMG_10.jpg", "2023:01:05 10:00:00", "Apple", (48, 3)),
    ("2024/holiday/собака.jpg", "2024:07:01 10:00:00", "Canon", (-16, 179)),
    ("2024/holiday/a\nb\x1b[31m.jpg", None, None, None),
]


@pytest.fixture(scope="module")
def photos(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder: four photos and their index, as the user's own index outside of a project."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, (name, date, camera, place) in enumerate(PHOTOS):
        path = folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((160, 120))
        exif = image.getexif()
        if date and camera and place:
            exif[0x010F] = camera
            exif.get_ifd(0x8769)[0x9003] = date
            latitude, longitude = place
            hemispheres = {1: "S" if latitude < 0 else "N", 3: "E"}
            exif.get_ifd(0x8825).update(hemispheres | {2: (abs(latitude), 0, 0), 4: (longitude, 0, 0)})
        image.save(path, exif=exif)
    tiny = project / "presets" / "clip-tiny"
    torch.manual_seed(0)
    clip = load_clip(f"local-dir:{tiny}", None, weights=False)
    save_checkpoint(clip, read_config(tiny)["model_cfg"], None, folder / "clip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KADR_HOME", str(folder / "home"))
        patch.delenv("KADR_CACHE", raising=False)
        patch.chdir(folder)
        run("index", "photos", "--model", "clip")
        yield folder / "photos"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def run(*arguments: str) -> Result:
    """Run a command. The test fails if the command fails."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result


def find(photos: Path, *arguments: str) -> list[str]:
    """Return the paths that a command prints, relative to the folder of photos."""
    paths = run(*arguments, "--print0").stdout.split("\0")[:-1]
    return [str(Path(path).relative_to(photos)) for path in paths]


NINE, TEN, DOG, ODD = (name for name, *_ in PHOTOS)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("--dated", [DOG, TEN, NINE]),
        ("--dated --sort oldest -k 2", [NINE, TEN]),
        ("--sort name", [NINE, TEN, ODD, DOG]),
        ("--undated", [ODD]),
        ("--folder snow --sort oldest", [NINE, TEN]),
        ("--name 'img_*' --sort name", [NINE, TEN]),
        ("--name Собака", [DOG]),
        ("--camera CANON", [DOG, NINE]),
        ("--near 48,2,10", [NINE]),
        ("--near -16,179,10", [DOG]),
        ("--box -20,170,0,-170", [DOG]),
        ("--after 2023-01-05 --before 2024-01-01", [TEN]),
        ("--max-bytes 10", []),
        ("--min-side 120 --dated --min-bytes 10", [DOG, TEN, NINE]),
    ],
)
def test_filters_alone_list_photos(photos: Path, arguments: str, found: list[str]) -> None:
    assert find(photos, "search", *shlex.split(arguments)) == found


def test_filters_apply_to_queries_and_example_photos(photos: Path) -> None:
    assert find(photos, "search", "a dog", "--folder", "snow", "--sort", "newest") == [TEN, NINE]
    assert find(photos, "search", "--like", str(photos / DOG), "--camera", "canon") == [NINE]
    assert find(photos, "similar", str(photos / DOG), "--folder", "snow", "--sort", "oldest") == [NINE, TEN]
    assert set(find(photos, "recommend", str(photos / DOG), "--folder", "snow")) == {NINE, TEN}
    assert find(photos, "search", "a dog", "--min-cosine", "1") == []


def test_a_list_says_how_many_photos_pass_the_filters(photos: Path) -> None:
    output = run("search", "--camera", "canon", "-k", "1").stdout
    assert "1 of 2 photos" in output
    assert "cosine" not in output
    answer = json.loads(run("search", "--camera", "canon", "--json").stdout)
    assert answer["n_images"] == 2
    (dog, _) = answer["matches"]
    assert (dog["score"], dog["relevance"], dog["camera"]) == (None, None, "Canon")
    assert (dog["latitude"], dog["longitude"], dog["taken"][:10]) == (-16, 179, "2024-07-01")


@pytest.mark.parametrize(
    ("query", "script"), [("собака в снегу", "Cyrillic"), ("雪地里的狗", "Chinese"), ("كلب في الثلج", "Arabic")]
)
def test_a_query_in_another_script_gets_an_answer_and_a_hint(photos: Path, query: str, script: str) -> None:
    result = run("search", query, "-k", "4")
    assert query in result.stdout
    assert f"does not know {script}" in result.stderr
    answer = json.loads(run("search", query, "--json").stdout)
    assert len(answer["matches"]) >= 3
    assert script in answer["hints"][0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", ""], 1, "The query is empty"),
        (["search", "--near", "1,2"], 2, "expected LAT,LON,KM"),
        (["search", "--near", "a,b,c"], 2, "expected LAT,LON,KM"),
        (["search", "--near", "91,2,3"], 1, "latitude of the place is 91.0, expected -90 to 90"),
        (["search", "--box", "1,2,3"], 2, "expected S,W,N,E"),
        (["search", "--colour", "mauve"], 1, "expected one of black, white"),
        (["search", "--sort", "cosine"], 1, "cannot be sorted by cosine"),
        (["search", "--min-relevance", "0.5"], 1, "min_relevance needs a query"),
        (["search", "dog", "--sort", "best"], 2, "newest"),
    ],
)
def test_an_invalid_option_is_explained(photos: Path, arguments: list[str], code: int, message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == code
    assert message in " ".join(re.sub("[│╭╮╰╯─]", "", result.stderr).split())
    assert not result.stdout


def test_the_options_are_the_filters_of_a_query() -> None:
    assert set(FILTER_OPTIONS) == set(Filters.__dataclass_fields__) - {"image_ids"}
    assert all(f"'{sort}'" in str(SortOption) for sort in SORTS)


def test_a_closed_pipe_is_no_error(photos: Path) -> None:
    command = [sys.executable, "-m", "kadr", "search", "--print0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # as `head` does when it has enough
        stderr = process.stderr.read()
    assert stderr == b""
    assert process.returncode in (0, 1, 141)


def test_a_search_in_a_new_process_does_not_import_torch(photos: Path) -> None:
    run("search", "a dog")  # writes the text tower of the model
    code = """
import sys
from kadr.cli.main import app
app(["search", "a dog", "--paths"], standalone_mode=False)
assert not {"torch", "open_clip", "transformers"} & set(sys.modules)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert len(process.stdout.splitlines()) >= 3


def test_names_survive_a_pipe_in_the_locale_c(photos: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "KADR_HOME": str(photos.parent / "home"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "kadr", "search", "--folder", "holiday"]
    paths, table = (
        subprocess.run([*command, *option], env=environment, capture_output=True, check=True).stdout
        for option in (["-0"], [])
    )
    assert set(paths.split(b"\0")[:-1]) == {str(photos / name).encode() for name in (DOG, ODD)}
    assert b"\x1b" not in table
    assert rb"a\nb\x1b[31m.jpg" in table


def test_the_commands_of_the_documentation_run(project: Path, photos: Path) -> None:
    page = (project / "docs" / "search.md").read_text(encoding="utf-8")
    section = page.partition("### Filters, order and browsing")[2].partition("### Pipes")[0]
    commands = re.findall(r"^kadr search .*$", section, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        run(*shlex.split(command.replace("-i models/photos", ""))[1:])


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("IMG_10", "IMG_10.jpg", {"name": ["IMG", "10"]}),
        ("собаки", "собака.jpg", {"name": ["собаки"]}),
        ("HOLIDAY - b", "собака.jpg", {"folders": ["HOLIDAY"]}),
    ],
)
def test_photos_are_found_by_their_names(photos: Path, query: str, name: str, words: dict[str, list[str]]) -> None:
    match = json.loads(run("search", query, "--json").stdout)["matches"][0]
    assert (Path(match["path"]).name, match["words"]) == (name, words)
    assert "words found in" in run("search", query).stdout


def test_the_documented_commands_about_words_run(project: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (project / "docs" / "search.md").read_text(encoding="utf-8")
    section = page.partition("### Names, words and text in photos")[2].partition("\n## ")[0]
    scripts: list[object] = []
    monkeypatch.setattr("kadr.collection.update_index", lambda *_, ocr, **__: scripts.append(ocr))
    monkeypatch.setattr("kadr.cli.index._print_summary", lambda *_: None)
    commands = re.findall(r"kadr (?:search|index) [^`\n]+", section)
    assert len(commands) == 8
    for command in commands:
        run(*shlex.split(command.replace("-i models/photos", "").replace("~/photos", str(photos)))[1:])
    assert scripts == ["latin"]
    refused = invoke("index", "--ocr", "klingon")
    assert "the script is unknown" in refused.output or "the script is unknown" in str(refused.exception)
