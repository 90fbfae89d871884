"""Read and write reports/refresh.json, the report of the last challenge."""

import json
from pathlib import Path
from typing import Any

from kadr.io.text_files import write_json

REFRESH_REPORT = Path("reports/refresh.json")
Report = dict[str, Any]


def read_report() -> Report:
    """Return the report of the last challenge, or an empty report if there was no challenge."""
    report: Report = json.loads(REFRESH_REPORT.read_text(encoding="utf-8")) if REFRESH_REPORT.is_file() else {}
    return report


def write_report(report: Report) -> Report:
    """Write the report of a challenge to REFRESH_REPORT, and return the report."""
    write_json(REFRESH_REPORT, report)
    return report
