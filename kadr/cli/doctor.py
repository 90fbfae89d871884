"""The command `kadr doctor`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from kadr.cli.console import console

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
            line = f"[{style}]{finding.state:7}[/{style}] {escape(finding.subject)}: {escape(finding.message)}"
            output.print(line, highlight=False, soft_wrap=True)
            if finding.fix:
                output.print(f"        -> {escape(finding.fix)}", style="cyan", highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
