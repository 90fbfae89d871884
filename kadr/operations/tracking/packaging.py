"""What an MLflow model of kadr is packed of: folders, settings and pinned libraries."""

from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from kadr.encoders.open_clip_models import LOCAL
from kadr.encoders.packages import module_of
from kadr.encoders.tokens import Words
from kadr.io.embeddings import Embeddings
from kadr.params import Params
from kadr.project import PROJECT

LIBRARIES = (
    *("faiss-cpu", "joblib", "lightgbm", "mlflow", "numpy", "open-clip-torch", "pandas", "pillow", "pyarrow"),
    *("pydantic", "pyyaml", "rich", "safetensors", "scikit-learn", "scipy", "sentence-transformers", "timm", "torch"),
    *("torchvision", "transformers"),
)


def artifacts(params: Params) -> dict[str, str]:
    """Artifact -> path: the model, the text encoders, and the weights that params name by a folder or a file.

    Weights that params name by a hub or a package stay there, for the loading machine to get.
    """
    weights = {f"weights_{at}": path for at, path in enumerate(_weights(params))}
    return {"relevance": str(PROJECT.relevance_model), "text_encoders": str(PROJECT.text_encoders), **weights}


def config(params: Params) -> dict[str, Any]:
    """What kadr.operations.tracking.pyfunc reads beside the artifacts.

    Returns:
        embed_images and embed_texts: the sections, with `{artifact}` in place of paths of this machine.
        identities: image encoder -> the metadata of the vectors that the model was trained on.
    """
    name_of = {path: f"{{weights_{at}}}" for at, path in enumerate(_weights(params))}

    def packed(section: dict[str, Any]) -> dict[str, Any]:
        for spec in section["encoders"].values():
            for field, path in _paths(spec).items():
                spec[field] = spec[field].replace(path, name_of[path])
        return section

    tables = {name: PROJECT.image_embeddings / f"{name}.parquet" for name in params.embed_images.encoders}
    return {
        "embed_images": packed(params.embed_images.model_dump()),
        "embed_texts": packed(params.embed_texts.model_dump()),
        "identities": {name: Embeddings.read(table).metadata for name, table in tables.items()},
    }


def requirements(params: Params) -> list[str]:
    """The libraries that scoring imports, pinned to the versions of this environment; no addresses."""
    names = {*LIBRARIES}
    for spec in _specs(params):
        if spec["backend"] == "tfidf":
            names |= {*Words(spec["words"], spec["language"], spec["stop_words"]).libraries}
        for field in ("model", "checkpoint"):
            if module := module_of(str(spec.get(field))):
                names |= {*packages_distributions().get(module, [])}
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(names)]


def _specs(params: Params) -> Iterator[dict[str, Any]]:
    for section in (params.embed_images, params.embed_texts):
        yield from (spec.model_dump() for spec in section.encoders.values())


def _weights(params: Params) -> list[str]:
    """The distinct folders and files that encoders are loaded from."""
    return list(dict.fromkeys(path for spec in _specs(params) for path in _paths(spec).values()))


def _paths(spec: dict[str, Any]) -> dict[str, str]:
    """Field of an encoder's settings -> the folder or file of weights that it names; not names of hubs and packages."""
    model, checkpoint = str(spec.get("model", "")), spec.get("checkpoint")
    found = {}
    if model.startswith(LOCAL):
        found["model"] = model.removeprefix(LOCAL)
    elif spec["backend"] == "sentence_transformers" and Path(model).is_dir():
        found["model"] = model
    if checkpoint and module_of(checkpoint) is None:
        found["checkpoint"] = checkpoint
    return found
