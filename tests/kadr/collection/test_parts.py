"""Collections in parts: plan, embed and index the parts. The index is the same as that of `update_index`."""

from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.collection import part_embedding, part_index
from kadr.collection.part_embedding import EmbeddedPart, PartBusyError, PartEmbedder
from kadr.collection.part_index import index_parts
from kadr.collection.part_plan import PartPlan, plan_parts
from kadr.collection.set_aside import read_set_aside
from kadr.collection.vectors import ScanEmbedder
from kadr.encoders.base import Identity
from kadr.errors import InputError, SearchError
from kadr.index import Index
from tests.kadr.collection.conftest import PARAMS, MeanColour, changed, paths, run, write

COLOURS = ("orange", "purple", "pink", "brown", "grey", "black", "white", "cyan")
N_PARTS = 4


@pytest.fixture
def plan(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PartPlan:
    """Plan of 11 images, one of which is a copy, and an invalid image. The parts are embedded in small chunks."""
    monkeypatch.setattr(part_embedding, "_CHUNK_SIZE", 3)
    for number, colour in enumerate(COLOURS):
        write(photos / f"{colour}.png", colour, (50 + number, 40))
    (photos / "copy.png").write_bytes((photos / "red.png").read_bytes())
    return plan_parts([str(photos)], tmp_path / "plan", N_PARTS, exclude=["black.*"])


def make_embedder(plan: PartPlan) -> PartEmbedder:
    return PartEmbedder(plan, ScanEmbedder(["clip"], PARAMS.embed_images, PARAMS.embed), PARAMS.decoding)


def build(plan: PartPlan, folder: Path, *, allow_removals: bool = False) -> Index:
    return index_parts(plan, folder, ["clip"], exact_max=1000, allow_removals=allow_removals)


def test_the_index_of_the_parts_is_that_of_update_index(plan: PartPlan, photos: Path, tmp_path: Path) -> None:
    assert len(plan.images) > 1
    assert sum(plan.images.values()) == 12
    assert make_embedder(plan).embed_missing(list(plan.images)) == []
    index = build(plan, tmp_path / "index")
    same = run(tmp_path / "same", photos, exclude=["black.*"], max_pixels=PARAMS.decoding.max_pixels).index
    assert index.table.equals(same.table)
    assert np.array_equal(index.vectors["clip"].values, same.vectors["clip"].values)
    assert (index.details, index.describe()) == (same.details, same.describe())
    assert read_set_aside(tmp_path / "index").equals(read_set_aside(tmp_path / "same"))
    assert not run(tmp_path / "index", max_pixels=PARAMS.decoding.max_pixels).published


def test_only_missing_parts_and_new_images_are_embedded(plan: PartPlan, photos: Path) -> None:
    first = next(iter(plan.images))
    make_embedder(plan).embed_missing([first])
    n_first = MeanColour.n_encoded
    make_embedder(plan).embed_missing(list(plan.images))
    n_all = MeanColour.n_encoded
    assert 0 < n_first < n_all <= 11  # the copy is computed again if it is in another part
    make_embedder(plan).embed_missing(list(plan.images))
    assert MeanColour.n_encoded == n_all

    write(photos / "new.png", "navy")
    again = plan_parts([str(photos)], plan.folder, N_PARTS, exclude=["black.*"])
    (part,) = (part for part in again.images if EmbeddedPart.read(again, part) is None)
    assert again.images[part] == plan.images.get(part, 0) + 1
    make_embedder(again).embed_missing(list(again.images))
    assert MeanColour.n_encoded == n_all + 1


def test_a_part_that_another_process_embeds_is_left_out(plan: PartPlan, tmp_path: Path) -> None:
    first = next(iter(plan.images))
    plan.part_folder(first).mkdir(parents=True)
    with FileLock(plan.part_folder(first) / "lock"):
        assert make_embedder(plan).embed_missing(list(plan.images)) == [first]
        with pytest.raises(PartBusyError, match=f"another process is embedding part {first}"):
            make_embedder(plan).embed_again([first])
    with pytest.raises(SearchError, match=rf"1 of {len(plan.images)} parts are not embedded, e\.g\. {first}\."):
        build(plan, tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_images_that_failed_are_tried_again_in_a_part_that_is_named(
    plan: PartPlan, photos: Path, tmp_path: Path
) -> None:
    embedder = make_embedder(plan)
    embedder.embed_missing(list(plan.images))
    failed = [part for part in plan.images if EmbeddedPart.read(plan, part).statuses.get("not_an_image")]  # type: ignore[union-attr]
    assert len(failed) == 1
    write(photos / "broken.JPG", "teal")
    embedder.embed_again(failed)
    assert EmbeddedPart.read(plan, failed[0]).statuses == {"ok": plan.images[failed[0]]}  # type: ignore[union-attr]
    assert "broken.JPG" in paths(build(plan, tmp_path / "index"))


def test_parts_of_different_encoders_are_refused(
    plan: PartPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = plan.images
    make_embedder(plan).embed_missing([first])
    initialise = MeanColour.__init__

    def initialise_bf16(self: MeanColour, *arguments: object) -> None:
        initialise(self, *arguments)
        self.identity = Identity("mean", "mean", "0", "0", "bf16")

    monkeypatch.setattr(MeanColour, "__init__", initialise_bf16)
    make_embedder(plan).embed_missing(others)
    with pytest.raises(SearchError, match=rf"differ from those of part {first} in the encoder"):
        build(plan, tmp_path / "index")
    make_embedder(plan).embed_missing(list(plan.images))
    assert len(build(plan, tmp_path / "index").table) == 11


def test_a_part_without_its_disk_is_not_embedded(photos: Path, tmp_path: Path) -> None:
    for number in range(20):
        write(photos / f"{number}.png", "red", (50 + number, 40))
    plan = plan_parts([str(photos)], tmp_path / "plan", 1)
    photos.rename(tmp_path / "elsewhere")
    with pytest.raises(SearchError, match=r"Part 0: 24 of 24 image files cannot be read"):
        make_embedder(plan).embed_missing(["0"])
    assert EmbeddedPart.read(plan, "0") is None
    (tmp_path / "elsewhere").rename(photos)
    make_embedder(plan).embed_missing(["0"])
    assert len(build(plan, tmp_path / "index").table) == 23


def test_an_index_of_other_addresses_is_kept(plan: PartPlan, photos: Path, tmp_path: Path) -> None:
    make_embedder(plan).embed_missing(list(plan.images))
    write(tmp_path / "other" / "x.png", "red")
    run(tmp_path / "index", tmp_path / "other")
    with pytest.raises(SearchError, match="which the photos of the plan would replace"):
        build(plan, tmp_path / "index")
    assert paths(Index.load(tmp_path / "index")) == ["x.png"]
    assert len(build(plan, tmp_path / "index", allow_removals=True).table) == 11
    write(photos / "new.png", "navy")
    assert changed(run(tmp_path / "index", max_pixels=PARAMS.decoding.max_pixels)) == {"unchanged": 11, "new": 1}


def test_too_many_images_for_an_index_are_refused(
    plan: PartPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_embedder(plan).embed_missing(list(plan.images))
    monkeypatch.setattr(part_index, "MAX_IMAGES", 10)
    with pytest.raises(SearchError, match="the parts contain 11 images, expected at most 10 in one index"):
        build(plan, tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_a_plan_keeps_its_number_of_parts(plan: PartPlan, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"divided into 4 parts, not 8\. Use --parts 4"):
        plan_parts([str(photos)], plan.folder, 8)
    with pytest.raises(InputError, match=r"contains no readable plan\.json"):
        PartPlan.load(tmp_path)
    with pytest.raises(InputError, match=r"^5: .*Use a name from"):
        plan.check_parts(["5"])
    shares = [plan.share(number, 2) for number in (1, 2)]
    assert sorted(shares[0] + shares[1]) == list(PartPlan.load(plan.folder).images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name the parts to embed, or use either --all or --share I/N"),
        (["0", "--all"], "Name the parts to embed, or use either --all or --share I/N"),
        (["--share", "3/2"], "--share 3/2: expected I/N with I from 1 to N"),
        (["--share", "half"], "--share half: expected I/N"),
        (["9"], "contains no images in a part of this name"),
    ],
)
def test_wrong_parts_are_explained(plan: PartPlan, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["scale", "embed", str(plan.folder), *arguments])
    assert result.exit_code == 1
    assert message in result.output
