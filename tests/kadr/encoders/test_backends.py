"""Encoder backends: registration by entry points, validation of settings, and imports of heavy libraries."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from PIL import Image

from kadr.errors import ParamsError
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, write_table
from kadr.io.storage import sha256
from kadr.params import IMAGE_ENCODERS, TEXT_ENCODERS, EncoderParams, load_params, parse_params
from kadr.project import PROJECT

MODULE = '''
"""A backend in a separate package that encodes an image as its mean colour."""
from typing import Literal
import numpy as np
from kadr.encoders.base import Identity, ImageEncoder, to_unit_norm
from kadr.params import EncoderParams

class MeanColourParams(EncoderParams):
    backend: Literal["mean_colour"]
    offset: float

class MeanColourEncoder(ImageEncoder):
    params_model = MeanColourParams
    dim = 3

    @classmethod
    def load(cls, params, precision):
        encoder = cls()
        encoder.identity = Identity("mean_colour", f"mean_colour {params.offset}", "-", "-", "fp32")
        encoder.offset = params.offset
        return encoder

    def preprocess(self, image):
        return np.asarray(image, dtype=np.float32).mean(axis=(0, 1)).reshape(3, 1, 1)

    def encode(self, images):
        return to_unit_norm(np.stack(images).reshape(-1, 3) + self.offset, "mean_colour")
'''
ENTRY_POINT = "[kadr.image_encoders]\nmean_colour = colour_backend:MeanColourEncoder\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with an installed package that registers the backend mean_colour."""
    folder = tmp_path / "site-packages"
    metadata = folder / "colour_backend-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "colour_backend.py").write_text(MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: colour-backend\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINT)
    return folder


def run_stage(
    project: Path, folder: Path, package: Path, encoder: dict[str, object]
) -> subprocess.CompletedProcess[str]:
    """Run stage embed_images with the encoder `colours` in a project folder."""
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["embed_images"]["encoders"]["colours"] = encoder
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    environment = {"PYTHONPATH": f"{package}{os.pathsep}{project}", "KADR_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "tasks.embed_images", "colours"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_backend_of_another_package_embeds_images_with_the_cache(
    project: Path, package: Path, tmp_path: Path
) -> None:
    colours = {"a": (255, 0, 0), "b": (0, 255, 0)}
    rows = []
    for name, colour in colours.items():
        path = tmp_path / f"{name}.png"
        Image.new("RGB", (4, 4), colour).save(path)
        rows.append({"image_id": name, "path": str(path), "split": "train", "sha256": sha256(path), "status": "ok"})
    write_table(pa.Table.from_pylist(rows, IMAGES), tmp_path / PROJECT.images, IMAGES)
    write_table(IMAGES.empty_table(), tmp_path / PROJECT.corpus, IMAGES)
    encoder = {"backend": "mean_colour", "offset": 0.0}

    first = run_stage(project, tmp_path, package, encoder)
    assert first.returncode == 0, first.stderr
    assert "embed images: computed 2 vectors" in first.stderr
    embeddings = Embeddings.read(tmp_path / PROJECT.image_embeddings / "colours.parquet")
    assert embeddings.select(["a", "b"]).tolist() == [[1, 0, 0], [0, 1, 0]]

    second = run_stage(project, tmp_path, package, encoder)
    assert second.returncode == 0, second.stderr
    assert "embed images: computed 0 vectors" in second.stderr

    misspelt = run_stage(project, tmp_path, package, {"backend": "mean_colour", "offsett": 0.0})
    assert misspelt.returncode != 0
    assert "embed_images.encoders.colours.offset: missing key" in misspelt.stderr
    assert "embed_images.encoders.colours.offsett: unknown key" in misspelt.stderr


@pytest.mark.parametrize(
    ("section", "encoder", "message"),
    [
        ("embed_images", {"backend": "nonsense"}, r"\.backend: expected one of open_clip, precomputed, timm"),
        ("embed_texts", {"backend": "timm", "model": "x"}, r"\.backend: expected one of open_clip"),
        ("embed_images", {"model": "resnet18"}, r"\.backend: missing key"),
        ("embed_images", {"backend": "timm", "model": "x", "image_size": 0}, r"\.image_size: .*greater than or equal"),
        ("embed_images", {"backend": "timm", "modle": "x"}, r"\.modle: unknown key"),
        ("embed_images", "resnet18", r": expected a mapping with the key backend"),
    ],
)
def test_an_invalid_encoder_is_an_error_that_names_the_key(
    section: str, encoder: object, message: str, project: Path
) -> None:
    values = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    values[section]["encoders"]["new"] = encoder
    with pytest.raises(ParamsError, match=rf"{section}\.encoders\.new{message}"):
        parse_params(values, "params.yaml")


def test_settings_of_all_encoders_survive_a_round_trip(project: Path) -> None:
    """An MLflow model stores the settings as a dict, and validates them again when it is loaded."""
    section = load_params(project / "params.yaml").embed_images
    assert type(section).model_validate(section.model_dump()) == section
    assert "checkpoint" in section.model_dump()["encoders"]["efficientnet_lite2"]


@pytest.mark.parametrize("registry", [IMAGE_ENCODERS, TEXT_ENCODERS])
def test_every_backend_has_a_settings_model_with_its_name(registry: object) -> None:
    for name in registry.names:
        model = registry.load(name).params_model
        assert issubclass(model, EncoderParams)
        assert model.model_fields["backend"].annotation.__args__ == (name,)
        assert all(field.description for key, field in model.model_fields.items() if key != "backend")


def test_reading_the_settings_imports_no_heavy_library(project: Path) -> None:
    code = (
        "import sys; from kadr.params import load_params; load_params(); "
        "print([name for name in ('torch', 'timm', 'open_clip', 'sklearn', 'pandas') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert output.stdout == "[]\n"
