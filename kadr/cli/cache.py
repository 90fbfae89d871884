"""Commands for the embedding cache: `kadr cache list`, `verify`, `compact` and `gc`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from kadr.cli.console import console

if TYPE_CHECKING:
    from kadr.embed.maintenance import CachedEncoder

app = typer.Typer(help="Maintain the embedding cache. `kadr where` shows its path.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Show the number of vectors and shards, the size and the last use of each cached encoder."""
    from kadr.embed.maintenance import count_rows

    table = Table("encoder", "key", "precision", "format", "vectors", "undecodable", "shards", "size (MB)", "last used")
    for cached in _list_caches():
        counts, sizes = count_rows(cached), cached.shards.sizes()
        identity = cached.identity
        table.add_row(
            str(identity["encoder"]),
            cached.name[:8],
            str(identity["precision"]),
            f"{identity['dim']} {identity['dtype']}",
            str(counts["ok"]),
            str(sum(counts.values()) - counts["ok"]),
            str(len(sizes)),
            f"{sum(size for _, size in sizes) / 1e6:.1f}",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(cached.last_used)),
        )
    console().print(table)


@app.command()
def verify() -> None:
    """Check all shards, and rename damaged shards. The exit code is 1 if a shard is damaged."""
    from kadr.embed.maintenance import verify_shards

    n_damaged = 0
    for cached in _list_caches():
        valid, damaged = verify_shards(cached)
        n_damaged += damaged
        typer.echo(f"{cached.identity['encoder']}: {valid} valid and {damaged} damaged shards")
    if n_damaged:
        raise typer.Exit(1)


@app.command()
def compact() -> None:
    """Merge small shards into larger shards. Other processes can use the cache at the same time."""
    from kadr.embed.compaction import compact as compact_shards

    for cached in _list_caches():
        replaced, written = compact_shards(cached.shards)
        typer.echo(f"{cached.identity['encoder']}: merged {replaced} shards into {written}")


@app.command()
def gc(
    *,
    unused_days: Annotated[
        float | None,
        typer.Option(
            min=0, help="Also delete the vectors of encoders that have not been used for this number of days."
        ),
    ] = None,
    undecodable: Annotated[
        bool,
        typer.Option(
            "--undecodable",
            help="Also delete the entries of undecodable images. The next run then tries to decode the images again.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the files that would be deleted, but do not delete any files.")
    ] = False,
) -> None:
    """Delete damaged shards, and incomplete files that killed processes left behind."""
    from kadr.embed.cache import cache_root
    from kadr.embed.maintenance import delete_garbage, find_garbage, forget_undecodable

    paths = find_garbage(cache_root(), unused_days)
    for path in paths:
        typer.echo(f"{'would delete' if dry_run else 'deleted'} {path}")
    if dry_run:
        return
    delete_garbage(cache_root(), paths)
    for cached in _list_caches() if undecodable else ():
        n_entries = forget_undecodable(cached)
        typer.echo(f"{cached.identity['encoder']}: deleted the entries of {n_entries} undecodable images")


def _list_caches() -> "list[CachedEncoder]":
    """Return the cache of each encoder. Print a message if the cache is empty."""
    from kadr.embed.cache import cache_root
    from kadr.embed.maintenance import list_caches

    caches = list_caches(cache_root())
    if not caches:
        typer.echo(f"{cache_root()}: the cache is empty")
    return caches
