"""Generate the reference pages of the documentation site: commands, Python API, changelog and contributing guide."""

import re
from pathlib import Path

import mkdocs_gen_files
import typer
from typer.cli import get_docs_for_click

from kadr.cli.main import app

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "kadr"


def write_commands() -> None:
    """Write commands.md with the help text of every command."""
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="kadr")
    with mkdocs_gen_files.open("commands.md", "w") as page:
        page.write(get_docs_for_click(obj=group, ctx=context, name="kadr", title="Commands"))


def write_api() -> None:
    """Write one page per module of kadr, and the navigation for these pages."""
    navigation = mkdocs_gen_files.Nav()
    for path in sorted(PACKAGE.rglob("*.py")):
        names = path.relative_to(PROJECT).with_suffix("").parts
        if names[-1] == "__main__":
            continue
        module = names[:-1] if names[-1] == "__init__" else names
        page = Path(*module[1:], "index.md" if names[-1] == "__init__" else "").with_suffix(".md")
        navigation[module] = page.as_posix()
        with mkdocs_gen_files.open(Path("api", page), "w") as file:
            file.write(f"# {'.'.join(module)}\n\n::: {'.'.join(module)}\n")
    with mkdocs_gen_files.open("api/SUMMARY.md", "w") as summary:
        summary.writelines(navigation.build_literate_nav())


def copy_page(name: str, target: str) -> None:
    """Copy a Markdown file from the project root into the site, and make its links relative to docs/."""
    text = (PROJECT / name).read_text(encoding="utf-8").replace("](CHANGELOG.md)", "](changelog.md)")
    with mkdocs_gen_files.open(target, "w") as page:
        page.write(re.sub(r"\]\(docs/", "](", text))


write_commands()
write_api()
copy_page("CHANGELOG.md", "changelog.md")
copy_page("CONTRIBUTING.md", "contributing.md")
