"""Files of vectors: every form is read, written and checked."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from kadr.errors import InputError
from kadr.io.vector_files import (
    VECTOR_FORMATS,
    VectorFormat,
    VectorTable,
    list_vector_images,
    open_vector_files,
    write_vector_files,
)

IDS = ["a.jpg", "b.jpg", "c.jpg"]
VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)


def write_clip_retrieval(folder: Path, parts: list[npt.NDArray[np.float16]], start: int = 0) -> None:
    """Write the files that `clip-retrieval inference` writes: one .npy file and one metadata file per part."""
    for name in ("img_emb", "text_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    for number, vectors in enumerate(parts, start):
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", vectors)
        np.save(folder / "text_emb" / f"text_emb_{number}.npy", -vectors)
        paths = [f"/data/photos/{number}_{row}.jpg" for row in range(len(vectors))]
        captions = [f"photo {number} {row}" for row in range(len(vectors))]
        metadata = {"image_path": paths, "caption": captions, "exif": ["{}"] * len(vectors)}
        pq.write_table(pa.table(metadata), folder / "metadata" / f"metadata_{number}.parquet")


def test_parts_of_clip_retrieval_are_read_in_numeric_order(tmp_path: Path) -> None:
    write_clip_retrieval(tmp_path / "out", [np.full((2, 4), number, np.float16) for number in range(8, 12)], start=8)
    images = open_vector_files(tmp_path / "out", "image")
    assert (len(images), images.dim, images.columns) == (8, 4, ["image_path"])
    assert images.column("image_path").to_pylist()[:3] == [
        "/data/photos/8_0.jpg",
        "/data/photos/8_1.jpg",
        "/data/photos/9_0.jpg",
    ]
    assert images.vectors(np.array([7, 0, 3]))[:, 0].tolist() == [11, 8, 9]
    assert images.locate(3) == f"{tmp_path}/out/img_emb/img_emb_9.npy, row 2"
    texts = open_vector_files(tmp_path / "out", "text")
    assert texts.column("caption").to_pylist()[0] == "photo 8 0"
    assert texts.vectors(np.array([0])).tolist() == [[-8] * 4]


def test_a_part_with_other_metadata_is_an_error(tmp_path: Path) -> None:
    write_clip_retrieval(tmp_path / "out", [np.ones((2, 4), np.float16)])
    np.save(tmp_path / "out/img_emb/img_emb_0.npy", np.ones((3, 4)))
    with pytest.raises(InputError, match=r"img_emb_0\.npy has 3 vectors, but .*metadata_0\.parquet has 2 IDs"):
        open_vector_files(tmp_path / "out", "image")
    (tmp_path / "out/metadata/metadata_0.parquet").unlink()
    with pytest.raises(InputError, match=r"IDs of the vectors are missing. Add img_emb_0_ids\.txt"):
        open_vector_files(tmp_path / "out", "image")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["v_ids.txt", "v.json", "ids.txt", "v.csv", "v.parquet", "v_ids.npy"])
def test_the_ids_of_a_npy_file_are_in_a_file_beside_it(tmp_path: Path, name: str, dtype: npt.DTypeLike) -> None:
    np.save(tmp_path / "v.npy", VECTORS.astype(dtype))
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, np.array(IDS))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"image_id": IDS, "n": [1, 2, 3]}), path)
    else:
        lines = {".txt": "\n".join(IDS), ".json": json.dumps(IDS), ".csv": "n,id\n" + "\n".join(f"1,{i}" for i in IDS)}
        path.write_text(lines[path.suffix] + "\n", encoding="utf-8")
    for opened in (tmp_path / "v.npy", tmp_path):
        files = open_vector_files(opened, "image")
        assert files.column(files.columns[0]).to_pylist() == IDS
        assert files.vectors(np.array([2, 0])).tolist() == VECTORS[[2, 0]].astype(dtype).astype(np.float32).tolist()


def write_parquet(path: Path, vectors: list[object], type_: pa.DataType, **columns: list[object]) -> None:
    columns = columns or {"image_id": IDS}
    pq.write_table(pa.table({**columns, "emb": pa.array(vectors, type_)}), path, row_group_size=2)


LIST_TYPES = [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16()), pa.list_(pa.float16(), 2)]


@pytest.mark.parametrize("type_", LIST_TYPES)
def test_a_parquet_file_may_have_any_type_of_list(tmp_path: Path, type_: pa.DataType) -> None:
    null = [np.nan] * 2 if pa.types.is_fixed_size_list(type_) else None  # Arrow cannot read null vectors of fixed size
    values = [[0.5, 0.25], null, [1.0, 2.0]]
    write_parquet(tmp_path / "v.parquet", values, type_, image_id=[7, 8, 9], picture=[b"x" * 10] * 3)
    files = open_vector_files(tmp_path, "image")
    assert files.column("image_id").to_pylist() == ["7", "8", "9"]
    assert files.vectors(np.array([2, 0])).tolist() == [[1, 2], [0.5, 0.25]]
    assert np.isnan(files.vectors(np.array([1]))).all()


def test_a_parquet_vector_of_another_length_is_an_error_with_its_row(tmp_path: Path) -> None:
    write_parquet(tmp_path / "v.parquet", [[1.0, 2.0], [1.0, 2.0], [1.0]], pa.list_(pa.float32()))
    with pytest.raises(InputError, match=r"v\.parquet, row 3: the vector has 1 dimensions, expected 2"):
        open_vector_files(tmp_path, "image").vectors(np.arange(3))


def test_several_columns_need_a_setting(tmp_path: Path) -> None:
    table = {"url_hash": IDS, "left": VECTORS.tolist(), "right": (-VECTORS).tolist()}
    pq.write_table(pa.table(table), tmp_path / "v.parquet")
    with pytest.raises(InputError, match=r"columns of vectors are left, right.*Set `vector_column`"):
        open_vector_files(tmp_path, "image", id_column="url_hash")
    with pytest.raises(InputError, match=r"expected one of image_id, .*set `id_column`"):
        open_vector_files(tmp_path, "image", vector_column="right")
    files = open_vector_files(tmp_path, "image", id_column="url_hash", vector_column="right")
    assert files.vectors(np.array([0])).tolist() == [[-1, 0]]


def test_a_parquet_file_without_a_column_of_vectors_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image_id": ["a"], "d0": [0.6], "d1": [0.8]}), tmp_path / "v.parquet")
    with pytest.raises(InputError, match=r"columns are image_id, d0, d1, but none.*Store each vector as a list"):
        open_vector_files(tmp_path / "v.parquet", "image")


def test_blank_lines_after_the_ids_and_unusual_spaces_in_ids_are_no_lines(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(2))
    (tmp_path / "v_ids.txt").write_bytes("a\u2028b.jpg\r\nc.jpg\r\n\r\n".encode())
    assert open_vector_files(tmp_path / "v.npy", "image").column("image_id").to_pylist() == ["a\u2028b.jpg", "c.jpg"]


def test_vectors_without_an_id_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_parquet(tmp_path / "v.parquet", np.eye(3).tolist(), pa.list_(pa.float32()), id=["a", None, ""])
    assert list_vector_images(tmp_path / "v.parquet").to_pylist() == [{"image_id": "a", "path": "a"}]
    assert "2 vectors were ignored, because the column id is blank" in caplog.text


def test_safetensors_with_ids_in_the_metadata_or_as_names(tmp_path: Path) -> None:
    save_file({"v": VECTORS}, tmp_path / "ids.safetensors", {"ids": json.dumps(IDS), "encoder": "m"})
    save_file(dict(zip(IDS, VECTORS, strict=True)), tmp_path / "names.safetensors")
    for name in ("ids", "names"):
        files = open_vector_files(tmp_path / f"{name}.safetensors", "image")
        rows = np.array([files.column("image_id").to_pylist().index(id_) for id_ in IDS])
        assert files.vectors(rows).tolist() == VECTORS.tolist()
    assert open_vector_files(tmp_path / "ids.safetensors", "image").metadata == {"encoder": "m"}
    save_file({"v": VECTORS}, tmp_path / "two.safetensors", {"ids": '["a", "b"]'})
    with pytest.raises(InputError, match=r"has 3 vectors, but .* has 2 IDs"):
        open_vector_files(tmp_path / "two.safetensors", "image")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(3), r"has the shape \(3,\)"),
        (np.ones((3, 2), np.int8), "the type int8, expected one float16"),
        (np.array([{}, {}], dtype=object), "cannot be read"),
    ],
)
def test_an_array_that_is_no_table_of_vectors_is_an_error(
    tmp_path: Path, array: npt.NDArray[np.generic], message: str
) -> None:
    np.save(tmp_path / "v.npy", array, allow_pickle=True)
    (tmp_path / "v_ids.txt").write_text("a\nb\nc\n")
    with pytest.raises(InputError, match=message):
        open_vector_files(tmp_path, "image")


def test_files_of_different_encoders_and_other_paths_are_errors(tmp_path: Path) -> None:
    for name, dim in (("a", 2), ("b", 3)):
        write_parquet(tmp_path / f"{name}.parquet", [[0.5] * dim] * 3, pa.list_(pa.float32()))
    with pytest.raises(InputError, match=r"b\.parquet: the vectors have 3 dimensions, expected 2 as in .*a\.parquet"):
        open_vector_files(tmp_path, "image")
    for path in (tmp_path / "none", tmp_path / "v.txt", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        (tmp_path / "v.txt").touch()
        with pytest.raises(InputError, match=r"a folder that clip-retrieval wrote, a \.npy file.*Correct the path"):
            open_vector_files(path, "image")


@pytest.mark.parametrize("form", VECTOR_FORMATS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_written_vectors_are_read_unchanged(tmp_path: Path, form: VectorFormat, dtype: npt.DTypeLike) -> None:
    path = tmp_path / ("out" if form == "clip-retrieval" else f"out.{form}")
    paths = [f"/photos/{id_}" for id_ in IDS]
    table = VectorTable(pa.chunked_array([IDS]), pa.chunked_array([paths]), VECTORS.astype(dtype), {"encoder": "m"})
    for _ in range(2):  # the second write replaces the first
        write_vector_files(path, form, table)
    files = open_vector_files(path, "image")
    assert files.column("image_id").to_pylist() == IDS
    assert files.vectors(np.arange(3)).tolist() == VECTORS.astype(dtype).astype(np.float32).tolist()
    assert files.metadata["encoder"] == "m"


def test_a_folder_of_another_kind_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    table = VectorTable(pa.chunked_array([IDS]), pa.chunked_array([IDS]), VECTORS, {})
    for form in VECTOR_FORMATS:
        with pytest.raises(InputError, match=r"Use another name|Add a name"):
            write_vector_files(tmp_path / "photos", form, table)
    assert (tmp_path / "photos" / "a.jpg").exists()
