"""Generate kadr/client/models.py, the types of the Python client, from the OpenAPI description of the server.

Run `python docs/client_models.py` after you change a request or a response of the API. A test checks that the file is
up to date.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from kadr.serve import Limits, create_app

PROJECT = Path(__file__).parents[1]
MODELS = PROJECT / "kadr/client/models.py"
HEADER = '''"""Types of the requests and responses of the HTTP API.

`python docs/client_models.py` generates this file from the OpenAPI description of the server. Do not edit it.
"""

# ruff: noqa: E501
'''
DROPPED = (
    "title",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "maxItems",
    "pattern",
    "examples",
)
UNUSED = (
    "HTTPValidationError",
    "ValidationError",
    "SimilarForm",
    "ScoreForm",
    "DownloadRequest",
    "ErrorResponse",
    "FacetsRequest",
    "ThumbnailSide",
)
"""Schemas of errors and of requests for which the client has arguments instead of types."""


def generate() -> str:
    """Return the content of kadr/client/models.py."""
    app = create_app(Mock(limits=Limits()))  # describing the routes needs no index
    description = app.openapi()
    schemas = description["components"]["schemas"]
    used = {name: _simplify(schema) for name, schema in schemas.items() if name not in UNUSED}
    description = {"openapi": description["openapi"], "info": {"title": "kadr", "version": "1"}, "paths": {}}
    description["components"] = {"schemas": used}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "openapi.json", Path(folder) / "models.py"
        source.write_text(json.dumps(description), encoding="utf-8")
        header = Path(folder) / "header.txt"
        header.write_text(HEADER, encoding="utf-8")
        command = [
            *(sys.executable, "-m", "datamodel_code_generator", "--input", source, "--output", target),
            *("--input-file-type", "openapi", "--openapi-scopes", "schemas", "--custom-file-header-path", header),
            *("--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11"),
            *("--use-annotated", "--use-schema-description", "--use-standard-collections", "--use-union-operator"),
            *("--use-double-quotes", "--enum-field-as-literal", "all", "--formatters", "builtin"),
            *("--collapse-root-models", "--output-datetime-class", "datetime", "--disable-future-imports"),
        ]
        subprocess.run(command, check=True)  # noqa: S603
        ruff = (sys.executable, "-m", "ruff")
        settings = ("--config", PROJECT / "pyproject.toml")
        rules = ("--select", "D2,D4,I,UP", "--fix", "--unsafe-fixes", "--quiet")
        subprocess.run([*ruff, "check", *settings, *rules, target], check=True)  # noqa: S603
        subprocess.run([*ruff, "format", *settings, "--quiet", target], check=True)  # noqa: S603
        return target.read_text(encoding="utf-8")


def _simplify(schema: Any) -> Any:
    """Return a schema without titles, which repeat the names, and without limits, which the server checks."""
    if isinstance(schema, list):
        return [_simplify(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    properties = {name: _simplify(value) for name, value in schema.get("properties", {}).items()}
    kept = {
        key: _simplify(value)
        for key, value in schema.items()
        if key not in DROPPED and key != "properties" and not (key == "default" and isinstance(value, dict))
    }
    return kept | ({"properties": properties} if properties else {})


if __name__ == "__main__":
    MODELS.write_text(generate(), encoding="utf-8")
