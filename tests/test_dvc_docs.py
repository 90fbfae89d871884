"""Run the commands of docs/dvc.md in a copy of the finished project."""

import re
from pathlib import Path

import pytest

from tests.conftest import SAMPLE_COUNTS, run
from tests.project_copy import stages_run
from tests.test_docs import read_block_commands

pytestmark = pytest.mark.slow


def test_a_second_repro_runs_no_stage(copy: Path, environment: dict[str, str]) -> None:
    assert "Data and pipelines are up to date" in run("dvc repro", copy, environment)


def test_the_commands_of_the_dvc_page_keep_the_results_of_changed_code(
    copy: Path, environment: dict[str, str], project: Path
) -> None:
    code, commit, *_ = read_block_commands(project / "docs/dvc.md")
    module = copy / "kadr/errors.py"
    source = module.read_text(encoding="utf-8")
    module.write_text(f"{source}\n# A comment.\n", encoding="utf-8")
    assert stages_run(run("dvc repro", copy, environment)) == {"code"}
    module.write_text(f"{source}\nLIMIT = 1\n", encoding="utf-8")
    assert "data/code/train.json" in "".join(run(command, copy, environment) for command in code)
    run(commit[0], copy, environment)
    assert "up to date" in run("dvc status", copy, environment)
    module.write_text(source, encoding="utf-8")
    run(f"dvc repro code && {commit[0]}", copy, environment)


def test_the_commands_of_the_dvc_page_share_a_run_with_a_clone(
    copy: Path, environment: dict[str, str], tmp_path: Path, project: Path
) -> None:
    page = tmp_path / "dvc.md"
    text = (project / "docs/dvc.md").read_text(encoding="utf-8").replace("/mnt/store", str(tmp_path / "store"))
    page.write_text(text, encoding="utf-8")
    push, pull, add, use, compare, experiments, queue = read_block_commands(page)[2:]
    for command in push:
        run(command, copy, environment)
    clone = tmp_path / "clone"
    run(f"git clone -q {copy} {clone}", tmp_path, environment)
    for command in re.findall(r"`(dvc remote add[^`]*)`", text):
        run(command.replace("-d store", "--local other -f"), clone, environment)
    assert "data/raw/sample" in run(f"{pull[0]} && dvc status", clone, environment)
    for command in pull[1:]:
        output = run(f"{command} {' '.join(SAMPLE_COUNTS)}" if "sample" in command else command, clone, environment)
    assert "Data and pipelines are up to date" in output
    assert not stages_run(output)
    for command in add:
        run(command, clone, environment)
    second_clone = tmp_path / "second"
    run(f"git clone -q {clone} {second_clone}", tmp_path, environment)
    assert "Data and pipelines are up to date" in run("dvc pull && dvc status", second_clone, environment)
    assert "images/" in "".join(run(command, second_clone, environment) for command in use)
    # Skip the first experiment, which README.md also contains, and the loop over experiments.
    commands = [command for command in experiments if not re.search("run -S|^for ", command)]
    output = "".join(run(command, second_clone, environment) for command in [*commands, *compare, *queue])
    assert re.search(r"\[[\w-]+\] +[\d.]+ +4 ", output)
    assert "<script src" not in (second_clone / "dvc_plots/index.html").read_text(encoding="utf-8")
