"""The Ray engine replaces killed workers and computes only missing vectors."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kadr.embed import EmbeddingCache, choose_engine
from kadr.encoders.base import Identity
from kadr.errors import EncoderError
from kadr.params import EmbedParams, RayParams

IDENTITY = Identity("fake", "a", "b", "c", "fp32")
N = 60
SCRIPT = """
import hashlib, os, sys, time
from pathlib import Path
import numpy as np, ray
from kadr.embed import EmbeddingCache
from kadr.embed.ray_engine import fill_cache_with_ray
from kadr.encoders.base import Identity, TextEncoder, to_unit_norm
from kadr.errors import EncoderError
from kadr.params import RayParams

FOLDER = Path(sys.argv[1])

class Fake(TextEncoder):
    identity, dim = Identity("fake", "a", "b", "c", "fp32"), 8
    def __init__(self):
        (FOLDER / f"loaded {os.getpid()}").touch()
    @classmethod
    def fit(cls, params, precision, texts, seed): return cls()
    @classmethod
    def load(cls, params, precision, folder): return cls()
    def transform(self, texts):
        killed = FOLDER / "killed"
        if "text 7" in texts and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), 9)
        with (FOLDER / f"embedded {os.getpid()}").open("a") as file:
            file.writelines(f"{text}\\n" for text in texts)
        hashes = [np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], np.uint8) for text in texts]
        return to_unit_norm(np.stack(hashes) - 100.0, "fake")

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
cache = EmbeddingCache(FOLDER / "cache", Fake.identity, 8)
options = {"load": Fake, "cache": cache, "batch_size": 1, "params": RayParams(address=None, actors=2, cpus=1, gpus=0)}
for n in map(int, sys.argv[2:]):
    texts = {hashlib.sha256(text.encode()).hexdigest(): text for text in (f"text {i}" for i in range(n))}
    fill_cache_with_ray(texts, **options)
    n_embedded = sum(len(path.read_text().splitlines()) for path in FOLDER.glob("embedded *"))
    (FOLDER / f"total {n}").write_text(str(n_embedded))
options["cache"] = EmbeddingCache(FOLDER / "other", Identity("other", "x", "b", "c", "fp32"), 8)
try:
    fill_cache_with_ray(texts, **options)
except EncoderError as error:
    (FOLDER / "error").write_text(str(error))
"""


def run_script(folder: Path, project: Path, *counts: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project), "RAY_USAGE_STATS_ENABLED": "0"}
    script = folder / "run.py"
    script.write_text(SCRIPT)
    completed = subprocess.run(
        [sys.executable, str(script), str(folder), *map(str, counts)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert completed.returncode == 0, completed.stderr[-3000:]


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_a_second_run_computes_only_new_texts(tmp_path: Path, project: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    run_script(tmp_path, project, N // 2, N)
    assert (tmp_path / "killed").exists()
    n_workers = len(list(tmp_path.glob("loaded *")))
    assert n_workers >= 3, "the killed worker must be replaced, and the second run must start workers"
    assert (tmp_path / "error").read_text().startswith("An actor of Ray failed: fake on this node differs from")
    first, both = (int((tmp_path / f"total {n}").read_text()) for n in (N // 2, N))
    assert both == first + N - N // 2
    texts = [f"text {i}" for i in range(N)]
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    lookup = EmbeddingCache(tmp_path / "cache", IDENTITY, 8).lookup(keys)
    assert not len(lookup.missing)
    for text, vector in zip(texts, lookup.vectors, strict=True):
        numbers = np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], np.uint8) - 100.0
        np.testing.assert_allclose(vector, numbers / np.linalg.norm(numbers), atol=1e-6)


@pytest.mark.parametrize(("engine", "fills"), [("local", False), ("ray", True)])
def test_only_the_ray_engine_fills_the_cache_first(engine: str, fills: bool, tmp_path: Path) -> None:
    params = EmbedParams(vectors="float32", engine=engine, ray=RayParams(address=None, actors=1, cpus=1, gpus=0))
    fill = choose_engine(params, lambda: None, EmbeddingCache(tmp_path, IDENTITY, 8), 1)
    assert (fill is not None) == fills


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:no"])
def test_an_address_without_a_cluster_is_an_error(address: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    params = EmbedParams(vectors="float32", engine="ray", ray=RayParams(address=address, actors=1, cpus=1, gpus=0))
    fill = choose_engine(params, lambda: None, EmbeddingCache(tmp_path, IDENTITY, 8), 1)
    assert fill
    with pytest.raises(EncoderError, match=rf"embed.ray.address: no Ray cluster responds at {address} \(.*ray start"):
        fill({"0" * 64: "text"})
