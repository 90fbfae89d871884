"""What an MLflow model of kadr is packed of: folders, settings and pinned libraries."""

from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from kadr.embeddings import Embeddings
from kadr.encoders.sentences import PACKAGE
from kadr.encoders.words import Words
from kadr.openclip import LOCAL
from kadr.params import Params
from tasks import paths

LIBRARIES = (
    *("faiss-cpu", "joblib", "lightgbm", "mlflow", "numpy", "open-clip-torch", "pandas", "pillow", "pyarrow"),
    *("pydantic", "pyyaml", "rich", "safetensors", "scikit-learn", "scipy", "sentence-transformers", "timm", "torch"),
    *("torchvision", "transformers"),
)


def artifacts(params: Params) -> dict[str, str]:
    """Artifact -> folder: the model, the text encoders, and the weights that params name by a folder.

    Weights that params name by a hub or a package stay there, for the loading machine to get.
    """
    folders = {f"weights_{at}": folder for at, folder in enumerate(_weight_folders(params))}
    return {"relevance": str(paths.RELEVANCE_MODEL), "text_encoders": str(paths.TEXT_ENCODERS), **folders}


def config(params: Params) -> dict[str, Any]:
    """What tasks.pyfunc reads beside the artifacts.

    Returns:
        embed_images and embed_texts: the sections, with `{artifact}` in place of folders of this machine.
        identities: image encoder -> the metadata of the vectors that the model was trained on.
    """
    name_of = {folder: f"{{weights_{at}}}" for at, folder in enumerate(_weight_folders(params))}

    def packed(section: dict[str, Any]) -> dict[str, Any]:
        for spec in section["encoders"].values():
            if (folder := _folder(spec)) is not None:
                spec["model"] = spec["model"].replace(folder, name_of[folder])
        return section

    tables = {name: paths.IMAGE_EMBEDDINGS / f"{name}.parquet" for name in params.embed_images.encoders}
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
        if str(spec.get("model")).startswith(PACKAGE):
            module = spec["model"].removeprefix(PACKAGE).partition("/")[0]
            names |= {*packages_distributions().get(module, [])}
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(names)]


def _specs(params: Params) -> Iterator[dict[str, Any]]:
    for section in (params.embed_images, params.embed_texts):
        yield from (spec.model_dump() for spec in section.encoders.values())


def _weight_folders(params: Params) -> list[str]:
    """The distinct folders that encoders are loaded from."""
    return list(dict.fromkeys(folder for spec in _specs(params) if (folder := _folder(spec)) is not None))


def _folder(spec: dict[str, Any]) -> str | None:
    """The folder of an encoder's weights; None where they have a name."""
    model = str(spec.get("model", ""))
    if model.startswith(LOCAL):
        return model.removeprefix(LOCAL)
    return model if spec["backend"] == "sentence_transformers" and Path(model).is_dir() else None
