"""Check the project: params.yaml, the raw dataset, encoder weights, the embedding cache and the indexes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

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
    paths = [source / name for name in ((corpus.captions, corpus.images) if corpus else ())]
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
    if clip.source != "hub" and clip.init:
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


def check_indexes(encoders: Sequence[str], shared: Sequence[str], commands: Mapping[Path, str]) -> Iterator[Finding]:
    """Verify the checksums of all index files, and check that each index was built with the current encoders.

    Args:
        encoders: names of the image encoders in params.yaml.
        shared: names of the encoders that embed both images and texts.
        commands: command that creates each index, by folder.
    """
    from kadr.index import damaged_files

    current_keys = {name: _encoder_key(PROJECT.image_embeddings / f"{name}.parquet") for name in encoders}
    for folder, command in commands.items():
        try:
            description = json.loads((folder.resolve() / "index.json").read_text(encoding="utf-8"))
            keys = {str(name): str(encoder["key"]) for name, encoder in description["encoders"].items()}
            damaged = damaged_files(folder.resolve(), description.get("sha256", {}))
        except FileNotFoundError:
            yield note("index", f"{folder} does not contain an index.", command)
            continue
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            yield problem("index", f"{folder}/index.json cannot be read ({error}).", command)
            continue
        for name in damaged:
            yield problem(
                "index",
                f"{folder / name} is damaged: its checksum differs from the checksum in index.json.",
                f"rm -r {folder}; {command}",
            )
        if difference := _encoder_difference(keys, current_keys, shared):
            yield problem("index", f"{folder}: {difference}", command)
        elif not damaged:
            yield ok("index", f"{folder} is undamaged and uses the current encoders")


def _encoder_difference(keys: Mapping[str, str], current_keys: Mapping[str, str | None], shared: Sequence[str]) -> str:
    """Describe how the encoders of an index differ from the current encoders. Return an empty string if they match.

    Args:
        keys: key of each encoder that the index uses, by encoder name.
        current_keys: key of each current encoder, by encoder name. None if the embeddings table cannot be read.
        shared: names of the encoders that embed both images and texts.
    """
    if unknown := [name for name in keys if name not in current_keys]:
        return f"the index uses encoder {', '.join(unknown)}, which is not in embed_images.encoders."
    if not any(name in keys for name in shared):
        return f"the index contains none of the encoders that embed both images and texts ({', '.join(shared)})."
    changed = [name for name, key in keys.items() if current_keys[name] not in (None, key)]
    return f"the weights or the preprocessing of encoder {', '.join(changed)} have changed." if changed else ""


def _encoder_key(table: Path) -> str | None:
    """Return the key of the encoder that wrote an embeddings table, or None if the table cannot be read."""
    try:
        metadata = pq.read_metadata(table).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    return metadata[b"key"].decode() if b"key" in metadata else None
