"""`kadr cache`: what it shows, mends and deletes, and that it touches nothing else."""

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
    monkeypatch.setenv("KADR_CACHE", str(tmp_path))
    cache = EmbeddingCache(tmp_path, IDENTITY, 3)
    cache.append(KEYS[:1], VECTORS[:1])
    cache.append(KEYS[1:], VECTORS[1:] * [[1], [0]], ["ok", "unreadable"])
    return cache


@pytest.fixture
def folder(tmp_path: Path, cache: EmbeddingCache) -> Path:
    return tmp_path / "vectors" / IDENTITY.key


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["cache", *arguments])


@pytest.mark.parametrize("command", ["list", "verify", "compact", "gc"])
def test_help_and_an_empty_cache(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADR_CACHE", str(tmp_path))
    assert "Usage" in run(command, "--help").stdout
    assert run(command).exit_code == 0


def test_list(cache: EmbeddingCache) -> None:
    (line,) = [line for line in run("list").stdout.splitlines() if "fake encoder" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[1:7] == [IDENTITY.key[:8], "fp32", "3 float32", "2", "1", "2"]


def test_verify_finds_a_damaged_shard_and_a_wrong_vector(cache: EmbeddingCache, folder: Path) -> None:
    assert run("verify").stdout == "fake encoder: 2 shards whole, 0 damaged\n"
    shard = next(folder.glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-9])
    cache.append(["d" * 64], VECTORS[:1] * 2)
    result = run("verify")
    assert result.exit_code == 1
    assert result.stdout == "fake encoder: 1 shards whole, 2 damaged\n"
    assert run("verify").exit_code == 0


def test_compact(cache: EmbeddingCache, folder: Path) -> None:
    assert "2 shards became 1" in run("compact").stdout
    assert len(list(folder.glob("*.parquet"))) == 1
    assert cache.lookup(KEYS).status.tolist() == ["ok", "ok", "unreadable"]


def test_gc_deletes_leavings_and_nothing_else(cache: EmbeddingCache, folder: Path) -> None:
    (folder / "x.damaged").touch()
    (folder / ".old.partial").touch()
    os.utime(folder / ".old.partial", (0, 0))
    (folder / ".new.partial").touch()
    assert run("gc", "--dry-run").stdout.count("would delete") == 2
    assert (folder / "x.damaged").exists()
    run("gc")
    assert {path.name for path in folder.iterdir() if path.suffix != ".parquet"} == {"identity.json", ".new.partial"}
    assert cache.lookup(KEYS).status.tolist() == ["ok", "ok", "unreadable"]


def test_gc_of_bad_photos_and_unused_encoders(cache: EmbeddingCache, folder: Path) -> None:
    assert "1 bad photos forgotten" in run("gc", "--bad").stdout
    assert cache.lookup(KEYS).status.tolist() == ["ok", "ok", ""]
    run("gc", "--unused-days", "1")
    assert folder.is_dir()
    os.utime(folder / "identity.json", (0, 0))
    assert f"deleted {IDENTITY.key}/" in run("gc", "--unused-days", "1").stdout
    assert not folder.exists()
