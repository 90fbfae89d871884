"""Check the examples in docs/: settings are valid, commands and scripts run, and quoted error messages exist."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from kadr.io.presets import apply_preset
from kadr.params import IMAGE_ENCODERS, TEXT_ENCODERS, load_params, parse_params


def read_blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks in a language, without their indentation."""
    blocks = re.findall(rf"(?ms)^ *```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"))
    return [textwrap.dedent(block) for block in blocks]


def read_block_commands(page: Path) -> list[list[str]]:
    """Return the shell commands of each code block on a page, without comments."""
    blocks = (block.splitlines() for block in read_blocks(page, "bash"))
    return [[command for line in block if (command := line.split("  #")[0].strip())] for block in blocks]


def read_commands(page: Path) -> list[str]:
    """Return the shell commands on a page, without comments."""
    return list(chain.from_iterable(read_block_commands(page)))


@pytest.fixture
def folder(tmp_path: Path, project: Path) -> Path:
    """Return a temporary folder with the project's params.yaml and presets."""
    shutil.copy(project / "params.yaml", tmp_path)
    shutil.copytree(project / "presets", tmp_path / "presets")
    return tmp_path


def run_in(folder: Path, project: Path, command: list[str] | str) -> str:
    """Run a command in a folder with the project's code and return its output."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(project), "KADR_CACHE": str(folder / "cache")}
    shell = isinstance(command, str)
    process = subprocess.run(
        command, shell=shell, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, f"{command}\n{process.stdout}\n{process.stderr}"
    return process.stdout + process.stderr


def read_setting(folder: Path, key: str) -> Any:
    value: Any = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for part in key.split("."):
        value = value[part]
    return value


def test_the_encoders_of_the_encoder_page_are_valid_and_use_every_backend(project: Path) -> None:
    (block,) = read_blocks(project / "docs/encoders.md", "yaml")
    settings = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    examples = yaml.safe_load(block)
    for section, example in examples.items():
        settings[section]["encoders"] |= example["encoders"]
    params = parse_params(settings, "docs/encoders.md")
    assert set(examples["embed_images"]["encoders"]) <= set(params.embed_images.encoders)
    assert set(examples["embed_texts"]["encoders"]) <= set(params.embed_texts.encoders)
    encoders = [encoder for example in examples.values() for encoder in example["encoders"].values()]
    assert {encoder["backend"] for encoder in encoders} == set(IMAGE_ENCODERS.names) | set(TEXT_ENCODERS.names)


@pytest.mark.slow
def test_the_commands_of_the_encoder_page_run_and_set_their_values(project: Path, folder: Path) -> None:
    of_vectors = ("kadr index", "kadr search", "kadr export")  # see test_vector_docs.py
    commands = [line for line in read_commands(project / "docs/encoders.md") if not line.startswith(of_vectors)]
    assert any(command.startswith("kadr use") for command in commands)
    for command in commands:
        run_in(folder, project, command)
        arguments = shlex.split(command)
        overrides = [value for option, value in pairwise(arguments) if option == "-S"]
        for key, value in (override.split("=", 1) for override in overrides):
            assert read_setting(folder, key) == yaml.safe_load(value), command


def test_the_settings_of_the_quality_page_are_valid(project: Path, folder: Path) -> None:
    page = (project / "docs" / "quality.md").read_text(encoding="utf-8")
    commands = [shlex.split(command) for command in re.findall("`(kadr use [^`]+)`", page)]
    for _, _, preset, *options in commands:
        apply_preset(preset, options[1::2], folder / "params.yaml", folder / "presets")
        load_params(folder / "params.yaml")
    assert any("train.baselines=[mean,cosine,concat]" in command for command in commands)


def test_the_messages_of_the_troubleshooting_page_exist_in_the_code(project: Path) -> None:
    page = (project / "docs/troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"(?m)^\| `([^`]+)` \|", page)
    assert messages
    code = "".join(
        path.read_text(encoding="utf-8")
        for package in ("kadr", "tasks", "flows")
        for path in (project / package).rglob("*.py")
    )
    assert [message for message in messages if message not in code] == []
