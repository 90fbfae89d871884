"""Generate the code dependencies of dvc.yaml from the imports of each stage.

DVC reruns a stage when a file in its `deps` changes. DVC does not notice changes to files outside `deps`. `make deps`
updates the code files in `deps`, and a test checks that they are up to date.
"""

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

PACKAGES = ("kadr", "tasks", "flows")


@cache
def import_graph() -> Any:
    """Return the import graph of `PACKAGES` (a grimp.ImportGraph), ignoring imports under `TYPE_CHECKING`."""
    import grimp

    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)


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


def source_file(module: str, root: Path) -> Path:
    """Return the path of a module's source file, relative to the project folder."""
    path = Path(module.replace(".", "/"))
    return path.with_suffix(".py") if (root / path.with_suffix(".py")).is_file() else path / "__init__.py"


def code_dependencies(module: str, root: Path) -> list[str]:
    """Return the code files and folders that a stage depends on, sorted, as paths relative to the project folder.

    If the stage uses at least half of the files of a package, the package is listed as a folder. Otherwise, the used
    files are listed.

    Args:
        module: name of the module that runs the stage, e.g. tasks.train.
        root: project folder.
    """
    used: dict[Path, set[Path]] = defaultdict(set)
    for name in modules_used(module):
        path = source_file(name, root)
        used[path.parent].add(path)
    dependencies = [dependency for folder, files in used.items() for dependency in _folded(folder, files, root)]
    folders = {Path(path) for path in dependencies}
    return sorted(path for path in dependencies if folders.isdisjoint(Path(path).parents))


def _folded(folder: Path, files: set[Path], root: Path) -> Iterator[str]:
    """Yield the folder if at least half of its files are used, otherwise yield each used file that contains code."""
    all_files = [path.relative_to(root) for path in (root / folder).glob("*.py")]
    if len(folder.parts) > 1 and len(files) * 2 >= len(all_files) and len(all_files) > 1:
        yield folder.as_posix()
    else:
        yield from (path.as_posix() for path in files if not _is_empty(root / path))


def _is_empty(path: Path) -> bool:
    """Return whether a file is an `__init__.py` that contains only a docstring and constants."""
    import ast

    return path.name == "__init__.py" and all(
        isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Constant)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )


def is_code(dependency: str) -> bool:
    """Return whether an entry of `deps` is the path of a code file or of a folder with code.

    >>> is_code("kadr/ingest"), is_code("data/tables/images.parquet")
    (True, False)
    """
    return dependency.split("/", maxsplit=1)[0] in PACKAGES


def with_code_dependencies(dag: Any, root: Path) -> Any:
    """Update the code dependencies of every stage in place. The other dependencies keep their order.

    Args:
        dag: content of dvc.yaml.
        root: project folder.

    Returns:
        The updated content of dvc.yaml.
    """
    for stage in dag["stages"].values():
        stage = stage.get("do", stage)  # noqa: PLW2901  # `do` is the template of a `foreach` stage
        (module,) = re.findall(r"python -m (\S+)", stage["cmd"])
        others: Iterable[str] = [path for path in stage["deps"] if not is_code(path)]
        stage["deps"][:] = [*code_dependencies(module, root), *others]
    return dag


def main() -> None:
    """Update the code dependencies in the dvc.yaml of the working directory."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    path = Path("dvc.yaml")
    dag = with_code_dependencies(yaml.load(path), Path.cwd())
    text = io.StringIO()
    yaml.dump(dag, text)
    path.write_text("".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()), encoding="utf-8")


if __name__ == "__main__":
    main()
