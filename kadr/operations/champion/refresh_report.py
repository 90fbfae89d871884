"""Read and write reports/refresh.json, the report of the last challenge."""

import json
from typing import Any

from kadr.io.text_files import write_json
from kadr.project import PROJECT

Report = dict[str, Any]


def read_report() -> Report:
    """Return the report of the last challenge, or an empty report if there was no challenge."""
    report: Report = (
        json.loads(PROJECT.refresh_report.read_text(encoding="utf-8")) if PROJECT.refresh_report.is_file() else {}
    )
    return report


def write_report(report: Report) -> Report:
    """Write the report of a challenge to PROJECT.refresh_report, and return the report."""
    write_json(PROJECT.refresh_report, report)
    return report
