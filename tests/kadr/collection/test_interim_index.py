"""Tests of interim versions: a search finds the images that are embedded so far."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from kadr.collection import batch_sizes
from kadr.collection.batch_sizes import BatchSizes
from kadr.collection.vectors import ScanEmbedder, VectorsByEncoder
from kadr.encoders.base import Identity
from kadr.index import Index, read_indexing_state
from kadr.index.vector_index import VectorIndex
from kadr.io.versions import Versions
from tests.kadr.collection.conftest import MeanColour, changed, paths, run

N = 20


@pytest.fixture
def many(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 20 new images, which are embedded in batches of 4, 8 and 8 images."""
    monkeypatch.setattr(batch_sizes, "FIRST_SIZE", 4)
    folder = photos / "many"
    folder.mkdir()
    for number in range(N):
        Image.new("RGB", (60, 40), (10 * number, 99, 200 - number)).save(folder / f"{number:02d}.png")
    return folder


def interrupt_before(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Raise KeyboardInterrupt when the batch with this image would be embedded."""
    embed = ScanEmbedder.__call__

    def embed_or_stop(self: ScanEmbedder, scans: pd.DataFrame) -> tuple[VectorsByEncoder, pd.DataFrame]:
        if scans["path"].str.endswith(name).any():
            raise KeyboardInterrupt
        return embed(self, scans)

    monkeypatch.setattr(ScanEmbedder, "__call__", embed_or_stop)


def state(out: Path) -> tuple[int, int] | None:
    """Return the numbers of processed and of all images, or None if the index is complete."""
    indexing = read_indexing_state(Index.load(out).details)
    return indexing and (indexing.n_done, indexing.n_total)


def folders(out: Path) -> list[str]:
    return sorted(path.name for path in Versions(out).home.glob("v*"))


def test_an_interrupted_first_index_can_be_searched_and_resumes(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    with monkeypatch.context() as patched:
        interrupt_before(patched, "19.png")
        with pytest.raises(KeyboardInterrupt):
            run(out, many)
    assert state(out) == (12, N)
    assert len(Index.load(out, verify_all=True).table) == 12
    assert folders(out) == ["v000001-interim", "v000002-interim"]
    assert MeanColour.n_encoded == 12
    result = run(out)
    assert (state(out), changed(result), result.published) == (None, {"unchanged": 12, "new": 8}, True)
    assert MeanColour.n_encoded == N
    assert folders(out) == ["v000004"]
    assert not run(out).published


def test_an_update_serves_the_old_and_the_new_images_while_it_runs(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    run(out, many.parent / "red.png", many.parent / "2024")
    (many.parent / "red.png").write_bytes((many / "00.png").read_bytes())
    (many.parent / "2024" / "blue.jpg").unlink()
    with monkeypatch.context() as patched:
        interrupt_before(patched, "19.png")
        with pytest.raises(KeyboardInterrupt):
            run(out, many.parent)
    served = Index.load(out)
    assert paths(served) == [*(f"{number:02d}.png" for number in range(11)), "blue.jpg", "green.webp", "red.png"]
    assert folders(out) == ["v000001", "v000002-interim", "v000003-interim"]
    assert state(out) == (14, N + 3)
    complete = run(out)
    assert changed(complete) == {"unchanged": 13, "new": 9, "gone": 1}
    assert folders(out) == ["v000001", "v000005"]


def test_an_interim_version_is_marked_in_the_set_aside_table(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    (many / "00.png").write_bytes(b"no image")
    interrupt_before(monkeypatch, "19.png")
    with pytest.raises(KeyboardInterrupt):
        run(out, many)
    assert (len(Index.load(out).table), state(out)) == (11, (12, N))
    assert pd.read_parquet(out / "set_aside.parquet")["rule"].tolist() == ["not_an_image"]


def test_an_index_of_another_encoder_stays_in_use_until_the_update_ends(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    run(out, many.parent / "2024")
    version = out.resolve()

    class OtherWeights(MeanColour):
        def __init__(self, *_: object) -> None:
            super().__init__()
            self.identity = Identity("mean", "mean", "1", "0", "fp32")

    monkeypatch.setattr("kadr.collection.vectors.load_image_encoder", OtherWeights)
    with monkeypatch.context() as patched:
        interrupt_before(patched, "19.png")
        with pytest.raises(KeyboardInterrupt):
            run(out, many.parent)
    assert out.resolve() == version
    assert changed(run(out, many.parent)) == {"unchanged": 2, "new": N + 1}


def test_the_progress_counts_all_images(many: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kadr")
    run(tmp_path / "index", many)
    lines = [message for message in caplog.messages if "images" in message]
    assert all(line.startswith("index images: ") for line in lines)
    assert lines[-1].startswith(f"index images: {N} of {N}, ")


@pytest.mark.parametrize(
    ("embed_seconds", "publish_seconds", "size"),
    [(3.0, 0.1, 128), (1e-9, 0.0, 128), (40.0, 0.1, 96), (40.0, 3.0, 128), (600.0, 0.1, 64)],
)
def test_batches_double_until_they_take_a_minute(embed_seconds: float, publish_seconds: float, size: int) -> None:
    sizes = BatchSizes()
    sizes.record(64, embed_seconds, publish_seconds)
    assert sizes.size == size


def test_no_small_batch_is_left_at_the_end() -> None:
    batches = list(BatchSizes().split(pd.DataFrame({"path": range(150)})))
    assert [(len(batch), is_last) for batch, is_last in batches] == [(64, False), (86, True)]


def test_a_version_that_is_deleted_while_it_is_loaded_is_replaced(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    run(out, many)
    first = out.resolve()
    (many / "00.png").unlink()
    run(out)
    versions = Versions(out)
    versions.switch_to(first)
    read = VectorIndex.read

    def read_late(path: Path, description: dict[str, object]) -> VectorIndex:
        if path.parent == first:
            versions.switch_to(versions.list_versions()[-1])
            path.unlink()
        return read(path, description)

    monkeypatch.setattr(VectorIndex, "read", read_late)
    assert len(Index.load(out).table) == N - 1
