"""The engine on Ray: the vectors of the local engine, whatever happens to a worker, and nothing computed twice."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kadr.embed import EmbeddingCache, by_engine
from kadr.encoders.base import Identity
from kadr.params import EmbedParams, RayParams

pytestmark = pytest.mark.slow

IDENTITY = Identity("fake", "a", "b", "c", "fp32")
N = 60
RUN = """
import hashlib, os, sys, time
from pathlib import Path
import numpy as np, ray
from kadr.embed import EmbeddingCache
from kadr.embed.ray_engine import fill_by_ray
from kadr.encoders.base import Identity, TextEncoder, unit
from kadr.params import RayParams

FOLDER = Path(sys.argv[1])

class Fake(TextEncoder):
    identity, dim = Identity("fake", "a", "b", "c", "fp32"), 8
    def __init__(self):
        (FOLDER / f"loaded {os.getpid()}").touch()
    @classmethod
    def fit(cls, spec, precision, texts, seed): return cls()
    @classmethod
    def load(cls, spec, precision, folder): return cls()
    def transform(self, texts):
        died = FOLDER / "died"
        if "text 7" in texts and not died.exists():
            died.touch()
            os.kill(os.getpid(), 9)
        with (FOLDER / f"embedded {os.getpid()}").open("a") as file:
            file.writelines(f"{text}\\n" for text in texts)
        return np.stack([unit(np.frombuffer(hashlib.sha256(t.encode()).digest()[:8], np.uint8)[None] - 100.0, "")[0]
                         for t in texts])

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
cache = EmbeddingCache(FOLDER / "cache", Fake.identity, 8)
how = {"load": Fake, "cache": cache, "batch_size": 1, "params": RayParams(address=None, actors=2, cpus=1, gpus=0)}
for n in map(int, sys.argv[2:]):
    texts = {hashlib.sha256(t.encode()).hexdigest(): t for t in (f"text {i}" for i in range(n))}
    fill_by_ray(texts, **how)
    (FOLDER / f"after {n}").write_text(str(sum(len(p.read_text().splitlines()) for p in FOLDER.glob("embedded *"))))
"""


def run(folder: Path, project: Path, *counts: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project), "RAY_USAGE_STATS_ENABLED": "0"}
    script = folder / "run.py"
    script.write_text(RUN)
    done = subprocess.run(
        [sys.executable, str(script), str(folder), *map(str, counts)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_killed_worker_and_a_second_run(tmp_path: Path, project: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    run(tmp_path, project, N // 2, N)
    assert (tmp_path / "died").exists()
    assert len(list(tmp_path.glob("loaded *"))) >= 3, "one in the place of the killed one, and those of the second run"
    first, both = (int((tmp_path / f"after {n}").read_text()) for n in (N // 2, N))
    assert both == first + N - N // 2, "the second run computes only what is new"
    texts = [f"text {i}" for i in range(N)]
    found = EmbeddingCache(tmp_path / "cache", IDENTITY, 8).lookup(
        [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    )
    assert not len(found.missing)
    for text, vector in zip(texts, found.vectors, strict=True):
        numbers = np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], np.uint8) - 100.0
        np.testing.assert_allclose(vector, numbers / np.linalg.norm(numbers), atol=1e-6)


def test_the_local_engine_fills_nothing_first(tmp_path: Path) -> None:
    params = EmbedParams(vectors="float32", engine="local", ray=RayParams(address=None, actors=1, cpus=1, gpus=0))
    assert by_engine(params, lambda: None, EmbeddingCache(tmp_path, IDENTITY, 8), 1) is None
