"""Draw docs/layers.svg, a diagram of the project's layers, from the import contract and the package docstrings.

Run `python docs/layers.py` after you change the layers. A test checks that the diagram is up to date.
"""

import ast
import tomllib
from html import escape
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PICTURE = Path(__file__).with_name("layers.svg")
WIDTH, ROW, GAP, NAME_WIDTH = 1040, 40, 8, 190
STYLE = """
  svg { color-scheme: light dark }
  .box { fill: #eef2ff; stroke: #6366f1 } .name { font: 600 15px sans-serif; fill: #312e81 }
  .text { font: 14px sans-serif; fill: #334155 } .count { font: 12px sans-serif; fill: #64748b; text-anchor: end }
  @media (prefers-color-scheme: dark) {
    .box { fill: #1e1b4b; stroke: #818cf8 } .name { fill: #c7d2fe } .text { fill: #cbd5e1 } .count { fill: #94a3b8 }
  }"""


def layers() -> list[list[str]]:
    """Return the packages and modules of each layer, from the top layer to the bottom layer."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return [[name.strip() for name in layer.split(":")] for layer in contract["layers"]]


def summary(name: str) -> str:
    """Return the first line of the docstring of a module or package."""
    path = PROJECT / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def size(name: str) -> str:
    """Return a label with the number of modules in a package, or an empty string for a single module."""
    folder = PROJECT / name.replace(".", "/")
    return f"{len(list(folder.rglob('*.py')))} modules" if folder.is_dir() else ""


def draw() -> str:
    """Return the diagram as SVG, with one row per package. There is no gap between packages of the same layer."""
    rows, y = [], GAP
    for layer in layers():
        for name in layer:
            rows.append(
                f'<rect class="box" x="{GAP}" y="{y}" width="{WIDTH - 2 * GAP}" height="{ROW}" rx="4"/>'
                f'<text class="name" x="{GAP + 14}" y="{y + 25}">{name}</text>'
                f'<text class="text" x="{GAP + NAME_WIDTH}" y="{y + 25}">{escape(summary(name))}</text>'
                f'<text class="count" x="{WIDTH - GAP - 14}" y="{y + 25}">{size(name)}</text>'
            )
            y += ROW
        y += GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img">'
    title = "<title>The layers of kadr. A package may import packages from its own layer and from lower layers.</title>"
    return "\n".join([head, title, f"<style>{STYLE}\n</style>", *rows, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
