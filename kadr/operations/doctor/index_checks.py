"""Check the indexes: undamaged files, and encoders that fit the current text encoder and relevance model."""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kadr.errors import EncoderError, KadrError
from kadr.operations.doctor.finding import Finding, note, ok, problem
from kadr.params import Params
from kadr.project import PROJECT

INDEX_COMMANDS = {PROJECT.index: "dvc repro index", PROJECT.photo_index: "kadr index"}
"""Command that updates the index in each folder."""

_TEXT_ENCODERS_FIX = "dvc repro embed_texts (searches need the text encoders of this stage)"


def check_indexes(params: Params, commands: Mapping[Path, str] = INDEX_COMMANDS) -> Iterator[Finding]:
    """Verify the checksums of all index files, and check that each index can be searched with the current models.

    Args:
        params: settings of the encoders and of search.
        commands: command that updates each index, by folder. Folders that do not exist are skipped.
    """
    from kadr.index import damaged_files

    for folder, command in commands.items():
        if not folder.exists():
            continue
        try:
            description = json.loads((folder.resolve() / "index.json").read_text(encoding="utf-8"))
            new_command = _creating_command(command, description.get("addresses", []))
            damaged = damaged_files(folder.resolve(), description.get("sha256", {}))
        except FileNotFoundError:
            yield note("index", f"{folder} does not contain an index.", _creating_command(command, []))
            continue
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            yield problem("index", f"{folder}/index.json cannot be read ({error}).", _creating_command(command, []))
            continue
        for name in damaged:
            yield problem(
                "index",
                f"{folder / name} is damaged: its checksum differs from the checksum in index.json.",
                f"rm -r {folder}; {new_command}",
            )
        if not damaged:
            yield _check_models(folder, params, command)


def _check_models(folder: Path, params: Params, command: str) -> Finding:
    """Check that an undamaged index can be searched with the current models."""
    from kadr.encoders import load_text_encoder
    from kadr.index import Index
    from kadr.search.encoder_check import can_rerank, check_text_encoder

    artifacts = PROJECT.index_artifacts(folder)
    try:
        index = Index.load(folder)
        name = index.encoder
        if name not in params.embed_texts.encoders:
            return problem(
                "index",
                f"{folder} was built with the encoder {name}, which is not in embed_texts.encoders. No text can be "
                "searched.",
                command,
            )
        encoder = load_text_encoder(
            params.embed_texts.encoders[name], params.embed_texts.precision, artifacts.text_encoders / name
        )
        check_text_encoder(index, encoder)
        lacks_vectors = any(other not in index.vectors for other in params.embed_images.encoders)
        if params.index.rerank and lacks_vectors and can_rerank(index, params, artifacts.relevance):
            return problem(
                "index",
                f"{folder} has only the vectors of {', '.join(index.vectors)}. The relevance model also needs the "
                "other encoders in embed_images.encoders.",
                command,
            )
    except EncoderError as error:
        return problem("index", f"{folder} cannot be searched by text: {error}", _TEXT_ENCODERS_FIX)
    except KadrError as error:
        return problem("index", f"{folder} does not fit the current models. {error}", command)
    return ok("index", f"{folder} is undamaged and fits the current text encoder {name} ({len(index.table):,} images)")


def _creating_command(command: str, addresses: list[Any]) -> str:
    """Return the command that creates an index. `kadr index` needs addresses if there is no readable index."""
    if not command.startswith("kadr index"):
        return command
    return f"{command} {shlex.join(map(str, addresses)) if addresses else 'PHOTOS'}"
