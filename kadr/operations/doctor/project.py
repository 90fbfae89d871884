"""The doctor part's look at the project: params.yaml, the source, encoders' weights, the embedding cache, indexes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kadr.encoders.open_clip_models import LOCAL
from kadr.encoders.packages import PACKAGE, located
from kadr.errors import CacheError, EncoderError, ParamsError
from kadr.operations.doctor.finding import Finding, note, ok, wrong
from kadr.params import Params, load_params


def check_params(path: Path) -> tuple[Params | None, list[Finding]]:
    """The settings, where they are valid, and what is wrong with them elsewhere."""
    try:
        return load_params(path), [ok("params", f"{path} is valid")]
    except ParamsError as error:
        return None, [wrong("params", str(error), f"mend it, or `git checkout {path}`")]


def check_source(params: Params) -> Iterator[Finding]:
    """Whether the input is there."""
    source = Path(params.ingest.source)
    if not source.is_dir():
        how = "make sample" if source.name == "sample" else "kadr fetch ADDRESS DIR, or name your folder in it"
        yield wrong("source", f"ingest.source: there is no folder {source}", how)
        return
    corpus = params.ingest.corpus
    lacking = [source / name for name in ((corpus.captions, corpus.images) if corpus else ())]
    lacking = [path for path in lacking if not path.exists()]
    for path in lacking:
        yield wrong("source", f"ingest.corpus: there is no {path}", "put it there, or set `ingest.corpus: null`")
    if not lacking:
        yield ok("source", f"{source} is there")


def check_encoders(params: Params, made: Path) -> Iterator[Finding]:
    """Whether the weights that params.yaml names are on this machine; `made` is the folder that stage clip writes."""
    named: dict[str, object] = {
        f"embed_images.encoders.{name}": one for name, one in params.embed_images.encoders.items()
    }
    named |= {f"embed_texts.encoders.{name}": one for name, one in params.embed_texts.encoders.items()}
    models = {key: str(getattr(encoder, "model", "")) for key, encoder in named.items()}
    if params.clip.source != "hub":
        models["clip.init"] = f"{LOCAL}{params.clip.init}"
    files = {f"{key}.checkpoint": str(of) for key, one in named.items() if (of := getattr(one, "checkpoint", None))}
    lacking = {key: model for key, model in models.items() if not _is_there(model, made)}
    lacking |= {key: file for key, file in files.items() if not _exists(file)}
    for key, wanted in lacking.items():
        yield wrong("encoders", f"{key}: {wanted} is not there", f"put the weights there, or set {key}")
    if not lacking:
        yield ok("encoders", f"the folders and packages of {len(models)} are there; names of a hub were not asked for")


def _is_there(model: str, made: Path) -> bool:
    if model.startswith(LOCAL):
        folder = Path(model.removeprefix(LOCAL))
        return folder == made or folder.is_dir()
    return not model.startswith(PACKAGE) or _exists(model)


def _exists(path: str) -> bool:
    try:
        return Path(located(path)).exists()
    except EncoderError:
        return False


def check_cache(root: str) -> Iterator[Finding]:
    """Whether the embedding cache can be read: each shard's columns and end; its bytes are `kadr cache verify`'s."""
    from kadr.embed.maintenance import caches
    from kadr.embed.shards import DAMAGED

    n = 0
    try:
        for cached in caches(root):
            for name, _ in cached.shards.sizes():
                n += 1
                if reason := cached.shards.damage(name):
                    said = f"{cached.shards.folder}/{name} is damaged ({reason})"
                    yield wrong("cache", said, "kadr cache verify (its vectors are then computed anew)")
            aside = [entry for entry in cached.shards.folder.entries() if entry.base_name.endswith(DAMAGED)]
            if aside:
                yield note("cache", f"{cached.shards.folder}: {len(aside)} damaged shards set aside", "kadr cache gc")
    except CacheError as error:
        yield wrong("cache", str(error), "kadr cache list says more")
        return
    yield ok("cache", f"{root}: {n} shards; `kadr cache verify` reads every byte of them")


def check_indexes(params: Params, embeddings: Path, indexes: Mapping[Path, str]) -> Iterator[Finding]:
    """Whether indexes are whole, and of the encoders in params.yaml with the weights that embedded the photos last.

    Every byte of an index is read.

    Args:
        params: the settings.
        embeddings: where stage embed_images wrote, <encoder>.parquet.
        indexes: folder -> the command that makes it.
    """
    from kadr.index import damaged

    current = {name: _key(embeddings / f"{name}.parquet") for name in params.embed_images.encoders}
    for folder, command in indexes.items():
        try:
            described = json.loads((folder.resolve() / "index.json").read_text(encoding="utf-8"))
            keys = {str(name): str(one["key"]) for name, one in described["encoders"].items()}
            broken = damaged(folder.resolve(), described.get("sha256", {}))
        except FileNotFoundError:
            yield note("index", f"{folder}: there is no index", command)
            continue
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            yield wrong("index", f"{folder}/index.json cannot be read ({error})", command)
            continue
        for name in broken:
            yield wrong("index", f"{folder / name} damaged: not as it was written", f"rm -r {folder}; {command}")
        if differing := _differing(keys, current, params.shared_encoders):
            yield wrong("index", f"{folder}: {differing}", command)
        elif not broken:
            yield ok("index", f"{folder} is whole and fits")


def _differing(keys: Mapping[str, str], current: Mapping[str, str | None], shared: Sequence[str]) -> str:
    if unknown := [name for name in keys if name not in current]:
        return f"it is of encoder {', '.join(unknown)}, which embed_images.encoders (params.yaml) does not name"
    if not any(name in keys for name in shared):
        return f"it has none of the encoders that photos and texts share ({', '.join(shared)})"
    other = [name for name, key in keys.items() if current[name] not in (None, key)]
    return f"encoder {', '.join(other)} has other weights or preparation now" if other else ""


def _key(table: Path) -> str | None:
    """The key of the encoder that wrote the embeddings; None where they are missing or cannot be read."""
    try:
        found = pq.read_metadata(table).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    return found[b"key"].decode() if b"key" in found else None
