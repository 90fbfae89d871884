"""Check the project: params.yaml, the raw dataset, encoder weights and the embedding cache."""

from collections.abc import Iterator
from pathlib import Path

from kadr.encoders.weights import resolve_package_path
from kadr.errors import CacheError, EncoderError, ParamsError
from kadr.operations.doctor.finding import Finding, note, ok, problem
from kadr.params import ClipParams, EmbedImagesParams, EmbedTextsParams, IngestParams, Params, load_params
from kadr.project import PROJECT


def check_params(path: Path) -> tuple[Params | None, list[Finding]]:
    """Return the settings (None if the file is not valid) and the findings."""
    try:
        return load_params(path), [ok("params", f"{path} is valid")]
    except ParamsError as error:
        return None, [problem("params", str(error), f"correct the keys, or `git checkout {path}`")]


def check_source(params: IngestParams) -> Iterator[Finding]:
    """Check that the raw dataset exists."""
    source = Path(params.source)
    if not source.is_dir():
        fix = (
            "make sample" if source.name == "sample" else "kadr fetch ADDRESS DIR, or set ingest.source to your folder"
        )
        yield problem("source", f"ingest.source: folder {source} does not exist.", fix)
        return
    corpus = params.corpus
    names = () if corpus is None else (corpus.captions,) if params.vectors else (corpus.captions, corpus.images)
    paths = [source / name for name in names]
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        yield problem(
            "source",
            f"ingest.corpus: {path} does not exist.",
            "add the missing file or folder, or set `ingest.corpus: null`",
        )
    if not missing:
        yield ok("source", f"{source} exists")


def check_encoders(images: EmbedImagesParams, texts: EmbedTextsParams, clip: ClipParams) -> Iterator[Finding]:
    """Check that all local encoder weights exist.

    Local weights are folders, files or Python packages that params.yaml names. Weights from a model hub are not
    checked.

    Args:
        images: settings of the image encoders.
        texts: settings of the text encoders.
        clip: settings of the CLIP model.
    """
    sections = {"embed_images": images.encoders, "embed_texts": texts.encoders}
    weights = {
        f"{section}.encoders.{name}.{setting}": path
        for section, encoders in sections.items()
        for name, encoder in encoders.items()
        for setting, path in (encoder.weight_paths | encoder.weight_packages).items()
    }
    if clip.source in ("local", "train") and clip.init:
        weights["clip.init"] = clip.init
    missing = {key: path for key, path in weights.items() if not _weights_exist(path)}
    for key, path in missing.items():
        yield problem("encoders", f"{key}: {path} does not exist.", f"copy the weights to {path}, or change {key}")
    if not missing:
        yield ok("encoders", f"all {len(weights)} local weights exist; weights from model hubs were not checked")


def _weights_exist(path: str) -> bool:
    """Return whether the weights exist on this machine or are an output of the `clip` stage."""
    try:
        return Path(path) == PROJECT.clip or Path(resolve_package_path(path)).exists()
    except EncoderError:
        return False


def check_cache(root: str) -> Iterator[Finding]:
    """Check the schema and the footer of every shard in the embedding cache.

    Args:
        root: folder or address of the cache.
    """
    from kadr.embed.maintenance import list_caches
    from kadr.embed.shards import DAMAGED

    n_shards = 0
    try:
        for cache in list_caches(root):
            folder = cache.shards.folder
            for name, _ in cache.shards.sizes():
                n_shards += 1
                if reason := cache.shards.find_damage(name):
                    yield problem(
                        "cache",
                        f"{folder}/{name} is damaged ({reason}).",
                        "kadr cache verify (the vectors of this shard are then recomputed)",
                    )
            renamed = [entry for entry in folder.list_entries() if entry.base_name.endswith(DAMAGED)]
            if renamed:
                yield note(
                    "cache",
                    f"{folder} contains {len(renamed)} damaged shards that are no longer used.",
                    "kadr cache gc",
                )
    except CacheError as error:
        yield problem("cache", str(error), "run `kadr cache list` to see the details")
        return
    yield ok("cache", f"{root}: {n_shards} shards; `kadr cache verify` checks every byte")
