"""Lookups in the embedding cache, damaged files, compaction, and concurrent or killed processes."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kadr.embed import compaction
from kadr.embed.cache import EmbeddingCache, cache_root
from kadr.embed.compaction import compact
from kadr.embed.writer import ShardWriter
from kadr.encoders.base import Identity
from kadr.errors import CacheError

IDENTITY = Identity("fake", "a", "b", "c", "fp32")
VECTORS = np.eye(3, dtype=np.float32)
W, X, Y, Z = (digit * 64 for digit in "0abc")


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path, IDENTITY, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vectors" / IDENTITY.key


def key(number: int) -> str:
    return f"{number:064x}"


def test_a_lookup_returns_vectors_in_the_order_of_the_keys(cache: EmbeddingCache) -> None:
    cache.append([X, Y], VECTORS[:2])
    cache.append([Z], VECTORS[2:])
    lookup = cache.lookup([Z, W, X, Z])
    assert lookup.status.tolist() == ["ok", "", "ok", "ok"]
    assert lookup.missing.tolist() == [1]
    np.testing.assert_array_equal(lookup.vectors, [[0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]])


def test_an_empty_lookup_and_a_lookup_in_an_empty_cache(cache: EmbeddingCache) -> None:
    assert cache.lookup([]).vectors.shape == (0, 3)
    assert cache.lookup([X]).missing.tolist() == [0]


def test_a_status_is_stored(cache: EmbeddingCache) -> None:
    cache.append([X, Y], VECTORS[:2] * [[1], [0]], ["ok", "too_large"])
    lookup = cache.lookup([Y, X])
    assert lookup.status.tolist() == ["too_large", "ok"]
    assert not len(lookup.missing)


def test_float16_vectors_are_rounded(tmp_path: Path, cache: EmbeddingCache) -> None:
    float16_cache = EmbeddingCache(tmp_path, IDENTITY, 3, "float16")
    vectors = np.array([[0.1, 0.2, 0.3]], dtype=np.float32)
    float16_cache.append([X], vectors)
    assert cache.lookup([X]).missing.tolist() == [0]
    np.testing.assert_array_equal(float16_cache.lookup([X]).vectors, float16_cache.format.round(vectors))
    np.testing.assert_allclose(float16_cache.lookup([X]).vectors, vectors, atol=1e-3)


def test_vectors_are_shared_by_encoder_names_but_not_by_identities(tmp_path: Path, cache: EmbeddingCache) -> None:
    cache.append([X], VECTORS[:1])
    renamed = Identity("other name", "a", "b", "c", "fp32")
    assert EmbeddingCache(tmp_path, renamed, 3).lookup([X]).status.tolist() == ["ok"]
    for changed in ("architecture", "weights_sha256", "preprocessing", "precision"):
        other = Identity(**{**IDENTITY.__dict__, changed: "changed"})
        assert EmbeddingCache(tmp_path, other, 3).lookup([X]).missing.tolist() == [0]


def test_the_identity_is_written_as_json(folder: Path, cache: EmbeddingCache) -> None:
    assert json.loads((folder / "identity.json").read_text()) == {**IDENTITY.metadata, "dim": 3, "dtype": "float32"}


def test_the_root_can_be_a_uri(tmp_path: Path, cache: EmbeddingCache) -> None:
    EmbeddingCache(tmp_path.as_uri(), IDENTITY, 3).append([X], VECTORS[:1])
    assert cache.lookup([X]).status.tolist() == ["ok"]


def test_a_partial_file_of_a_killed_process_is_ignored(folder: Path, cache: EmbeddingCache) -> None:
    cache.append([X], VECTORS[:1])
    shard = next(folder.glob("*.parquet"))
    (folder / ".half.parquet.99.partial").write_bytes(shard.read_bytes()[:100])
    (folder / ".half.parquet").write_bytes(b"")
    assert cache.lookup([X]).status.tolist() == ["ok"]


@pytest.mark.parametrize("damage", ["cut", "flip", "not parquet", "empty"])
def test_a_damaged_shard_is_set_aside_with_a_warning(
    folder: Path, cache: EmbeddingCache, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    shard = folder / cache.append([X, Y], VECTORS[:2])
    cache.append([Z], VECTORS[2:])
    content = bytearray(shard.read_bytes())
    if damage == "flip":
        content[content.index(VECTORS[0].tobytes())] ^= 1
    shard.write_bytes({"cut": content[:-20], "flip": content, "not parquet": b"hello", "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        lookup = cache.lookup([X, Z])
    assert lookup.status.tolist() == ["", "ok"]
    assert str(shard) in caplog.text
    assert shard.with_suffix(".damaged").is_file()
    cache.append([X], VECTORS[:1])
    assert cache.lookup([X, Z]).status.tolist() == ["ok", "ok"]


def test_an_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="KADR_CACHE"):
        EmbeddingCache(tmp_path / "file", IDENTITY, 3)


def test_the_root_depends_on_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KADR_CACHE", "s3://bucket/cache")
    assert cache_root() == "s3://bucket/cache"
    monkeypatch.delenv("KADR_CACHE")
    monkeypatch.setenv("KADR_HOME", "/home/kadr")
    assert cache_root() == "/home/kadr/cache"
    monkeypatch.delenv("KADR_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == "/x/kadr"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == str(Path.home() / ".cache" / "kadr")


# Compaction


def test_a_batch_is_written_at_once_and_small_shards_are_merged(folder: Path, cache: EmbeddingCache) -> None:
    with ShardWriter(cache, merge_after=3) as writer:
        for number, name in enumerate((X, Y)):
            writer.add([name], VECTORS[[number]], ["ok"])
            assert cache.lookup([name]).status.tolist() == ["ok"]
        assert len(list(folder.glob("*.parquet"))) == 2
        writer.add([Z], VECTORS[2:], ["ok"])
        assert len(list(folder.glob("*.parquet"))) == 1
    np.testing.assert_array_equal(cache.lookup([X, Y, Z]).vectors, VECTORS)


def test_compaction_keeps_each_key_once(folder: Path, cache: EmbeddingCache) -> None:
    cache.append([X, Y], VECTORS[:2])
    cache.append([Y, Z], VECTORS[1:])
    cache.append([W], VECTORS[:1], ["unreadable"])
    assert compact(cache.shards) == (3, 1)
    (shard,) = folder.glob("*.parquet")
    assert sorted(pq.read_table(shard)["key"].to_pylist()) == [bytes.fromhex(name) for name in (W, X, Y, Z)]
    assert cache.lookup([W, X, Y, Z]).status.tolist() == ["unreadable", "ok", "ok", "ok"]
    assert compact(cache.shards) == (0, 0)


def test_full_shards_are_not_compacted(folder: Path, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FULL_SHARD_ROWS", 400)
    full = cache.append([key(n) for n in range(500)], np.tile(VECTORS[:1], (500, 1)))
    cache.append([X], VECTORS[:1])
    assert compact(cache.shards) == (0, 0)
    assert full in {path.name for path in folder.glob("*.parquet")}


def test_a_lookup_survives_a_compaction(cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.append([X], VECTORS[:1])
    cache.append([Y], VECTORS[1:2])
    list_sizes = cache.shards.sizes

    def sizes() -> list[tuple[str, int]]:
        sizes_before = list_sizes()
        monkeypatch.setattr(cache.shards, "sizes", list_sizes)
        compact(cache.shards)
        return sizes_before

    monkeypatch.setattr(cache.shards, "sizes", sizes)
    assert cache.lookup([X, Y]).status.tolist() == ["ok", "ok"]


WRITER = """
import sys, numpy as np
from pathlib import Path
from kadr.embed.cache import EmbeddingCache
from kadr.embed.writer import ShardWriter
from kadr.encoders.base import Identity
cache = EmbeddingCache(Path(sys.argv[1]), Identity("fake", "a", "b", "c", "fp32"), 3)
print("ready", flush=True)
with ShardWriter(cache, merge_after=7) as writer:
    for i in range(int(sys.argv[2]), int(sys.argv[2]) + 60):
        writer.add([f"{i:064x}"], np.full((1, 3), i, dtype=np.float32), ["ok"])
"""


@pytest.mark.slow
def test_two_processes_write_while_a_third_compacts(tmp_path: Path, cache: EmbeddingCache, project: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), start], cwd=project) for start in ("0", "30")
    ]
    while any(process.poll() is None for process in processes):
        compact(cache.shards)
    assert [process.wait(120) for process in processes] == [0, 0]
    lookup = cache.lookup([key(n) for n in range(90)])
    assert not len(lookup.missing)
    np.testing.assert_array_equal(lookup.vectors[:, 0], np.arange(90))


@pytest.mark.slow
def test_a_killed_process_loses_no_written_batch(
    folder: Path, tmp_path: Path, cache: EmbeddingCache, project: Path
) -> None:
    cache.append([X], VECTORS[:1])
    command = [sys.executable, "-c", WRITER.replace("+ 60", "+ 100000"), str(tmp_path), "0"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while len(os.listdir(folder)) < 15:
            pass
        process.kill()
    lookup = cache.lookup([X, *(key(n) for n in range(100_000))])
    rows = np.flatnonzero(lookup.status == "ok")
    assert len(rows) > 20
    assert rows.tolist() == list(range(len(rows))), "batches must be written in order, without a gap"
    np.testing.assert_array_equal(lookup.vectors[1 : len(rows), 0], np.arange(len(rows) - 1))
    assert not list(folder.glob("*.damaged"))
