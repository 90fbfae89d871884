"""Hash the code that each pipeline stage uses, without its comments and docstrings.

The `code` stage writes the hashes, and every other stage depends on its own hashes. A change to a comment, a docstring
or the formatting therefore runs no other stage, and a change to the code runs only the stages that use it.
"""

import ast
import hashlib
import tomllib
from collections import defaultdict
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

PACKAGES = ("kadr", "tasks")


@cache
def import_graph() -> Any:
    """Return the import graph of `PACKAGES` (a grimp.ImportGraph), ignoring imports under `TYPE_CHECKING`."""
    import grimp

    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)


@cache
def registered_modules() -> dict[str, list[str]]:
    """Return the modules that are registered as entry points of kadr (e.g. encoders), by package."""
    packages: dict[str, list[str]] = defaultdict(list)
    for entry in distribution("kadr").entry_points:
        if entry.group.startswith("kadr."):
            packages[entry.module.rpartition(".")[0]].append(entry.module)
    return packages


def modules_used(module: str) -> set[str]:
    """Return all modules in `PACKAGES` that can be executed when `module` is imported, including `module` itself.

    Importing `a.b.c` also executes the packages `a` and `a.b`. Imports inside functions are included. A package is
    assumed to import all of its modules that are registered as entry points.
    """
    graph = import_graph()
    modules: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in modules or name not in graph.modules:
            continue
        modules.add(name)
        waiting += graph.find_modules_directly_imported_by(name)
        waiting += registered_modules().get(name, [])
        waiting += [name.rsplit(".", maxsplit=n)[0] for n in range(1, name.count(".") + 1)]
    return modules


def code_hashes(module: str, root: Path = Path()) -> dict[str, str]:
    """Return the hashes of the code that a stage uses.

    Args:
        module: name of the module that runs the stage, e.g. tasks.train.
        root: project folder, which contains `PACKAGES` and pyproject.toml.

    Returns:
        SHA-256 of each module by module name, and of each data file (e.g. a template) that pyproject.toml declares for
        the used packages, by its path in the project folder.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    package_data = project["tool"]["setuptools"]["package-data"]
    hashes: dict[str, str] = {}
    for name in modules_used(module):
        path = root / name.replace(".", "/")
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        hashes[name] = hash_source(source.read_text(encoding="utf-8"))
        for data in (file for pattern in package_data.get(name, []) for file in path.glob(pattern)):
            hashes[data.relative_to(root).as_posix()] = _sha256(data.read_bytes())
    return dict(sorted(hashes.items()))


@cache
def hash_source(source: str) -> str:
    """Return the SHA-256 of Python code without comments, docstrings and formatting.

    >>> hash_source('x = 1') == hash_source('x  =  1  # one')
    True
    >>> hash_source('x = 1') == hash_source('x = 2')
    False
    """
    return _sha256(ast.unparse(_DocstringRemover().visit(ast.parse(source))).encode())


class _DocstringRemover(ast.NodeTransformer):
    """Removes all statements that consist of a string, such as docstrings of functions and of attributes."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:  # the name is set by ast.NodeVisitor
        is_string = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_string else node


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
