"""The embedding cache: what is put in comes out, whatever happens to the process or the disk."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kadr.embed.cache import EmbeddingCache, cache_root
from kadr.encoders.base import Identity
from kadr.errors import CacheError

IDENTITY = Identity("fake", "a", "b", "c", "fp32")
VECTORS = np.eye(3, dtype=np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path, IDENTITY, 3)


def test_lookup_gives_what_was_appended_in_the_order_asked(cache: EmbeddingCache) -> None:
    cache.append(["x", "y"], VECTORS[:2])
    cache.append(["z"], VECTORS[2:])
    found, vectors = cache.lookup(["z", "w", "x"])
    assert found.tolist() == [True, False, True]
    np.testing.assert_array_equal(vectors, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])


def test_an_empty_lookup_and_an_empty_cache(cache: EmbeddingCache) -> None:
    assert cache.lookup([])[1].shape == (0, 3)
    assert cache.lookup(["x"])[0].tolist() == [False]


def test_identities_do_not_share_vectors_and_names_do(tmp_path: Path, cache: EmbeddingCache) -> None:
    cache.append(["x"], VECTORS[:1])
    renamed = Identity("other name", "a", "b", "c", "fp32")
    assert EmbeddingCache(tmp_path, renamed, 3).lookup(["x"])[0].all()
    for changed in ("architecture", "weights_sha256", "preprocessing", "precision"):
        other = Identity(**{**IDENTITY.__dict__, changed: "changed"})
        assert not EmbeddingCache(tmp_path, other, 3).lookup(["x"])[0].any()


def test_the_identity_is_written_for_people(tmp_path: Path, cache: EmbeddingCache) -> None:
    assert json.loads((tmp_path / IDENTITY.key / "identity.json").read_text()) == IDENTITY.metadata


def test_a_partial_file_of_a_killed_process_is_ignored(tmp_path: Path, cache: EmbeddingCache) -> None:
    cache.append(["x"], VECTORS[:1])
    shard = next((tmp_path / IDENTITY.key).glob("*.parquet"))
    (shard.parent / ".half.parquet.99.partial").write_bytes(shard.read_bytes()[:100])
    (shard.parent / ".half.parquet").write_bytes(b"")
    assert cache.lookup(["x"])[0].all()


@pytest.mark.parametrize("damage", ["cut", "flip", "no parquet"])
def test_a_damaged_shard_is_set_aside_with_a_warning(
    tmp_path: Path, cache: EmbeddingCache, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache.append(["x", "y"], VECTORS[:2])
    cache.append(["z"], VECTORS[2:])
    shard = next(path for path in (tmp_path / IDENTITY.key).glob("*.parquet") if _has(path, "x"))
    content = bytearray(shard.read_bytes())
    if damage == "flip":
        place = content.index(VECTORS[0].tobytes()[:4])
        content[place] ^= 1
    shard.write_bytes({"cut": content[:-20], "flip": content, "no parquet": b"hello"}[damage])
    with caplog.at_level(logging.WARNING):
        found, _ = cache.lookup(["x", "z"])
    assert found.tolist() == [False, True]
    assert str(shard) in caplog.text
    assert shard.with_suffix(".damaged").is_file()
    cache.append(["x"], VECTORS[:1])
    assert cache.lookup(["x", "z"])[0].all()


def _has(shard: Path, key: str) -> bool:
    import pyarrow.parquet as pq

    return key in pq.read_table(shard).column("key").to_pylist()


def test_a_folder_that_cannot_be_made_is_a_cache_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="KADR_CACHE"):
        EmbeddingCache(tmp_path / "file", IDENTITY, 3)


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KADR_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("KADR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/x/kadr")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "kadr"


WRITER = """
import sys, numpy as np
from pathlib import Path
from kadr.embed.cache import EmbeddingCache
from kadr.encoders.base import Identity
cache = EmbeddingCache(Path(sys.argv[1]), Identity("fake", "a", "b", "c", "fp32"), 3)
print("ready", flush=True)
for i in range(int(sys.argv[2]), int(sys.argv[2]) + 60):
    cache.append([str(i)], np.full((1, 3), i, dtype=np.float32))
"""


@pytest.mark.slow
def test_two_processes_write_at_once(tmp_path: Path, cache: EmbeddingCache, project: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), start], cwd=project) for start in ("0", "30")
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    found, vectors = cache.lookup([str(i) for i in range(90)])
    assert found.all()
    np.testing.assert_array_equal(vectors[:, 0], np.arange(90))


@pytest.mark.slow
def test_a_process_killed_while_writing_harms_nothing(tmp_path: Path, cache: EmbeddingCache, project: Path) -> None:
    cache.append(["before"], VECTORS[:1])
    command = [sys.executable, "-c", WRITER.replace("+ 60", "+ 100000"), str(tmp_path), "0"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        folder = tmp_path / IDENTITY.key
        while len(os.listdir(folder)) < 20:
            pass
        process.kill()
    found, vectors = cache.lookup(["before", *(str(i) for i in range(15))])
    assert found[:10].all()
    np.testing.assert_array_equal(vectors[1:10, 0], np.arange(9))
    assert not list(folder.glob("*.damaged"))
