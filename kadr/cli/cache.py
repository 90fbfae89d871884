"""The command line's part for the embedding cache: `kadr cache list`, `verify`, `compact` and `gc`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from kadr.embed.maintenance import Cached

app = typer.Typer(help="Look after the embedding cache ($KADR_CACHE, else ~/.cache/kadr).", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Show each encoder's vectors, shards, bytes and when it was last used."""
    from kadr.embed.maintenance import count

    table = Table("encoder", "key", "precision", "numbers", "vectors", "bad", "shards", "MB", "used")
    for cached in _caches():
        counts, sizes = count(cached), cached.shards.sizes()
        about = cached.about
        n_bad = sum(counts.values()) - counts["ok"]
        table.add_row(
            *(str(about["encoder"]), cached.name[:8], str(about["precision"]), f"{about['dim']} {about['dtype']}"),
            *(str(counts["ok"]), str(n_bad), str(len(sizes)), f"{sum(size for _, size in sizes) / 1e6:.1f}"),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(cached.used)),
        )
    Console(width=200).print(table)


@app.command()
def verify() -> None:
    """Read every shard whole and set damaged ones aside; exit code 1 where there were any."""
    from kadr.embed.maintenance import verify as verify_one

    damaged = 0
    for cached in _caches():
        whole, n = verify_one(cached)
        damaged += n
        typer.echo(f"{cached.about['encoder']}: {whole} shards whole, {n} damaged")
    if damaged:
        raise typer.Exit(1)


@app.command()
def compact() -> None:
    """Write small shards together; runs may go on meanwhile."""
    from kadr.embed.compaction import compact as compact_one

    for cached in _caches():
        before, after = compact_one(cached.shards)
        typer.echo(f"{cached.about['encoder']}: {before} shards became {after}")


@app.command()
def gc(
    *,
    unused_days: Annotated[
        float | None, typer.Option(min=0, help="Also delete encoders that no run has opened for so many days.")
    ] = None,
    bad: Annotated[bool, typer.Option("--bad", help="Also forget photos that did not decode: try them again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Delete damaged shards and what killed processes left."""
    from kadr.embed.cache import cache_root
    from kadr.embed.maintenance import forget_bad, garbage, sweep

    found = garbage(cache_root(), unused_days)
    for name in found:
        typer.echo(f"{'would delete' if dry_run else 'deleted'} {name}")
    if dry_run:
        return
    sweep(cache_root(), found)
    for cached in _caches() if bad else ():
        typer.echo(f"{cached.about['encoder']}: {forget_bad(cached)} bad photos forgotten")


def _caches() -> "list[Cached]":
    """The caches, or a word that there are none."""
    from kadr.embed.cache import cache_root
    from kadr.embed.maintenance import caches

    found = caches(cache_root())
    if not found:
        typer.echo(f"{cache_root()}: no vectors are cached yet")
    return found
