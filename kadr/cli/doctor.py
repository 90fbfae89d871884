"""The command `kadr doctor`."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from kadr.cli.console import console, printable, to_json

STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
"""Text style for each finding state, in the syntax of the package rich."""


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Check the project and the machine, and print a fix for each problem. The exit code is 1 if a problem is found."""
    from kadr.operations.doctor.diagnosis import diagnose

    output = console()
    findings = []
    for finding in diagnose():
        findings.append(finding)
        if not as_json:
            style = STYLES[finding.state]
            text = escape(printable(f"{finding.subject}: {finding.message}"))
            line = f"[{style}]{finding.state:7}[/{style}] {text}"
            output.print(line, highlight=False, soft_wrap=True)
            if finding.fix:
                output.print(
                    f"        -> {escape(printable(finding.fix))}", style="cyan", highlight=False, soft_wrap=True
                )
    if as_json:
        typer.echo(to_json([asdict(finding) for finding in findings], indent=2))
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
