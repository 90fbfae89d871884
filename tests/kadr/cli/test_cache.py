"""Tests of the commands `kadr cache list`, `verify`, `compact` and `gc`."""

import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from kadr.cli import main as cli
from kadr.embed import EmbeddingCache
from kadr.encoders.base import Identity

IDENTITY = Identity("fake encoder", "a", "b", "c", "fp32")
VECTORS = np.eye(3, dtype=np.float32)
KEYS = [digit * 64 for digit in "abc"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingCache:
    """Return a cache with two shards, which contain two vectors and one undecodable image."""
    monkeypatch.setenv("KADR_CACHE", str(tmp_path))
    cache = EmbeddingCache(tmp_path, IDENTITY, 3)
    cache.append(KEYS[:1], VECTORS[:1])
    cache.append(KEYS[1:], VECTORS[1:] * [[1], [0]], ["ok", "broken"])
    return cache


@pytest.fixture
def folder(tmp_path: Path, cache: EmbeddingCache) -> Path:
    return tmp_path / "vectors" / IDENTITY.key


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["cache", *arguments])


@pytest.mark.parametrize("command", ["list", "verify", "compact"])
def test_an_empty_cache_is_reported(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADR_CACHE", str(tmp_path))
    result = run(command)
    assert result.exit_code == 0
    assert f"{tmp_path}: the cache is empty" in result.stdout


def test_list_shows_one_row_per_encoder(cache: EmbeddingCache) -> None:
    (line,) = [line for line in run("list").stdout.splitlines() if "fake encoder" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[1:7] == [IDENTITY.key[:8], "fp32", "3 float32", "2", "1", "2"]


def test_verify_finds_a_damaged_shard_and_a_vector_without_unit_norm(cache: EmbeddingCache, folder: Path) -> None:
    assert run("verify").stdout == "fake encoder: 2 valid and 0 damaged shards\n"
    shard = next(folder.glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-9])
    cache.append(["d" * 64], VECTORS[:1] * 2)
    result = run("verify")
    assert result.exit_code == 1
    assert result.stdout == "fake encoder: 1 valid and 2 damaged shards\n"
    assert run("verify").exit_code == 0


def test_compact_merges_small_shards(cache: EmbeddingCache, folder: Path) -> None:
    assert "merged 2 shards into 1" in run("compact").stdout
    assert len(list(folder.glob("*.parquet"))) == 1
    assert cache.lookup(KEYS).status.tolist() == ["ok", "ok", "broken"]


def test_gc_deletes_only_damaged_and_old_partial_files(cache: EmbeddingCache, folder: Path) -> None:
    (folder / "x.damaged").touch()
    (folder / ".old.partial").touch()
    os.utime(folder / ".old.partial", (0, 0))
    (folder / ".new.partial").touch()
    assert run("gc", "--dry-run").stdout.count("would delete") == 2
    assert (folder / "x.damaged").exists()
    run("gc")
    assert {path.name for path in folder.iterdir() if path.suffix != ".parquet"} == {"identity.json", ".new.partial"}
    assert cache.lookup(KEYS).status.tolist() == ["ok", "ok", "broken"]


def test_gc_forgets_undecodable_images_on_request(cache: EmbeddingCache) -> None:
    assert "deleted the entries of 1 undecodable images" in run("gc", "--undecodable").stdout
    assert cache.lookup(KEYS).status.tolist() == ["ok", "ok", ""]


def test_gc_deletes_encoders_that_were_not_used_recently(cache: EmbeddingCache, folder: Path) -> None:
    run("gc", "--unused-days", "1")
    assert folder.is_dir()
    os.utime(folder / "identity.json", (0, 0))
    assert f"deleted {IDENTITY.key}/" in run("gc", "--unused-days", "1").stdout
    assert not folder.exists()
