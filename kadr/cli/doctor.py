"""The command `kadr doctor`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from kadr.cli.console import console

STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the project and the machine. Print each problem with the command that fixes it; exit code 1 if any."""
    from kadr.operations.doctor.diagnosis import findings

    output = console()
    seen = []
    for finding in findings():
        seen.append(finding)
        if not as_json:
            style = STYLES[finding.state]
            line = f"[{style}]{finding.state:5}[/{style}] {escape(finding.about)}: {escape(finding.said)}"
            output.print(line, highlight=False, soft_wrap=True)
            if finding.mend:
                output.print(f"      -> {escape(finding.mend)}", style="cyan", highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in seen], indent=2, ensure_ascii=False))
    if any(finding.state == "wrong" for finding in seen):
        raise typer.Exit(1)
