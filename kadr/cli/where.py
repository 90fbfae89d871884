"""The command `kadr where`: show the paths that kadr uses."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from kadr.cli.console import printable, to_json
from kadr.cli.settings import load_settings, read_model
from kadr.project import PROJECT
from kadr.user_folders import user_folders


def where(*, as_json: Annotated[bool, typer.Option("--json", help="Print the paths as JSON.")] = False) -> None:
    """Show where kadr keeps settings, index, ratings, caches and models, and how large they are."""
    from kadr.encoders.hub_models import models_folder
    from kadr.params import Params

    settings = load_settings(PROJECT.search_index)
    source = settings.ingest.source if isinstance(settings, Params) else ""
    own_settings = PROJECT.params if PROJECT.exists else user_folders().settings
    places: dict[str, dict[str, Any]] = {
        "project": {"path": str(Path.cwd()) if PROJECT.exists else None},
        "settings": {"path": str(own_settings), "exists": own_settings.is_file()},
        "ratings": {"path": str(PROJECT.ratings_folder(source))},
        "embeddings": {"path": user_folders().embeddings, "bytes": _folder_size(user_folders().embeddings)},
        "models": {"path": str(models_folder()), "bytes": _folder_size(models_folder())},
    }
    indexes = [_describe_index(index) for index in dict.fromkeys((PROJECT.search_index, PROJECT.photo_index))]
    model = settings.embed_images.encoders[settings.shared_encoders[0]].vector_space
    if as_json:
        typer.echo(to_json(places | {"indexes": indexes, "model": model}, indent=2))
        return
    _print_places(places, indexes, model)


def _describe_index(index: Path) -> dict[str, Any]:
    """Return the path, the size, the number of images, the model and the folders of an index."""
    description: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        description = json.loads((index / "index.json").read_text(encoding="utf-8"))
    model, _ = read_model(index)
    return {
        "path": str(index),
        "n_images": description.get("n_images"),
        "bytes": _folder_size(index.resolve()) if description else None,
        "model": model,
        "folders": description.get("addresses", []),
    }


def _print_places(places: dict[str, dict[str, Any]], indexes: list[dict[str, Any]], model: str | None) -> None:
    project, settings = places["project"]["path"], places["settings"]
    _print_line("project", project or "none (the working directory contains no params.yaml)")
    _print_line("settings", settings["path"] + ("" if settings["exists"] else " (no such file: built-in settings)"))
    _print_line("model", model or "unknown")
    for index in indexes:
        content = "no such index: run `kadr index FOLDER`"
        if index["n_images"] is not None:
            content = f"{index['n_images']:,} images, {_describe_size(index['bytes'])}"
        _print_line("index", f"{index['path']} ({content})")
        for folder in index["folders"]:
            _print_line("", f"  {folder}")
    _print_line("ratings", places["ratings"]["path"])
    _print_line("embedding cache", f"{places['embeddings']['path']} ({_describe_size(places['embeddings']['bytes'])})")
    _print_line("downloaded models", f"{places['models']['path']} ({_describe_size(places['models']['bytes'])})")


def _print_line(label: str, text: str) -> None:
    typer.echo(printable(f"{label:18} {text}"))


def _folder_size(folder: str | Path) -> int | None:
    """Return the size of all files in a folder in bytes, or None for a remote folder."""
    if "://" in str(folder):
        return None
    total = 0
    for path in Path(folder).rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
    return total


def _describe_size(size: int | None) -> str:
    return "size unknown" if size is None else decimal(size)
