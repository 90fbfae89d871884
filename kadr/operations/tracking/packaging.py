"""Collect the parts of an MLflow model package: files, settings and pinned requirements."""

from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

from kadr.io.embeddings import Embeddings
from kadr.io.text_files import write_json
from kadr.params import EmbedImagesParams, EmbedTextsParams, EncoderParams, load_params
from kadr.project import PROJECT

LIBRARIES = (
    *(
        "faiss-cpu",
        "filelock",
        "joblib",
        "lightgbm",
        "mlflow",
        "numpy",
        "pandas",
        "pillow",
        "platformdirs",
        "pyarrow",
        "pydantic",
        "pyyaml",
    ),
    *("rich", "scikit-learn", "scipy"),
)
"""Python distributions that every model package requires. An encoder can require additional distributions."""


def package_artifacts(images: EmbedImagesParams, texts: EmbedTextsParams) -> dict[str, str]:
    """Return the paths of the files and folders to include in the package, by artifact name.

    The package contains the relevance model, the text encoders, and the encoder weights that have a local path in
    params.yaml. Weights from a model hub or a Python package are not included. The machine that loads the package must
    be able to download or install these weights.

    Args:
        images: settings of the image encoders.
        texts: settings of the text encoders.
    """
    weights = {f"weights_{i}": path for i, path in enumerate(_local_weights(images, texts))}
    return {"relevance": str(PROJECT.relevance_model), "text_encoders": str(PROJECT.text_encoders), **weights}


def write_package_settings(folder: Path, images: EmbedImagesParams, texts: EmbedTextsParams) -> Path:
    """Write the settings that `kadr.operations.tracking.pyfunc` reads when it loads the package.

    The settings are a file of the package and not its `model_config`, because MLflow would add the entries of a
    `model_config` to the parameters of the training run.

    Args:
        folder: folder of the new file.
        images: settings of the image encoders.
        texts: settings of the text encoders.

    Returns:
        Path of the JSON file. Its keys are:

        embed_images, embed_texts: sections of params.yaml, with artifact names such as `{weights_0}` in place of local
            paths.
        identities: metadata of the embeddings that the model was trained on, by image encoder name.
        decoding: section `decoding` of params.yaml.
    """
    artifacts = {path: f"{{weights_{i}}}" for i, path in enumerate(_local_weights(images, texts))}

    def with_placeholders(section: EmbedImagesParams | EmbedTextsParams) -> dict[str, Any]:
        values = section.model_dump()
        for name, encoder in section.encoders.items():
            settings = values["encoders"][name]
            for setting, path in encoder.weight_paths.items():
                settings[setting] = settings[setting].replace(path, artifacts[path])
        return values

    tables = {name: PROJECT.image_embeddings / f"{name}.parquet" for name in images.encoders}
    settings = {
        "embed_images": with_placeholders(images),
        "embed_texts": with_placeholders(texts),
        "identities": {name: Embeddings.read(table).metadata for name, table in tables.items()},
        "decoding": load_params(PROJECT.params).decoding.model_dump(),
    }
    path = folder / "settings.json"
    write_json(path, settings)
    return path


def package_requirements(images: EmbedImagesParams, texts: EmbedTextsParams) -> list[str]:
    """Return the requirements of the package, pinned to the installed versions.

    Args:
        images: settings of the image encoders.
        texts: settings of the text encoders.
    """
    names = {*LIBRARIES}.union(*(encoder.distributions for encoder in _encoders(images, texts)))
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(names)]


def write_distribution_metadata(folder: Path) -> Path:
    """Copy the distribution metadata of kadr, so that the copy of the code in the package can find its entry points.

    Args:
        folder: parent folder of the new metadata folder.

    Returns:
        Path of the metadata folder, `kadr-<version>.dist-info`.
    """
    installed = distribution("kadr")
    metadata = folder / f"kadr-{installed.version}.dist-info"
    metadata.mkdir(parents=True)
    for name in ("METADATA", "entry_points.txt"):
        (metadata / name).write_text(installed.read_text(name) or "", encoding="utf-8")
    return metadata


def _encoders(images: EmbedImagesParams, texts: EmbedTextsParams) -> Iterator[EncoderParams]:
    yield from images.encoders.values()
    yield from texts.encoders.values()


def _local_weights(images: EmbedImagesParams, texts: EmbedTextsParams) -> list[str]:
    """Return the distinct local folders and files from which encoders load their weights."""
    return list(dict.fromkeys(path for encoder in _encoders(images, texts) for path in encoder.weight_paths.values()))
