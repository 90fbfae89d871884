"""The `code` stage hashes the code of every other stage, so that DVC reruns only the stages whose code has changed."""

from pathlib import Path

from kadr.cli.stage import Metrics, run_stage
from kadr.io.text_files import write_json
from kadr.operations.code_hashes import code_hashes
from kadr.params import Params
from kadr.project import PROJECT


def hash_code(_: Params) -> Metrics:
    """Write the code hashes of each stage module in tasks/ to data/code/<stage>.json.

    Returns:
        The number of files and modules that each stage uses.
    """
    stages = sorted(path.stem for path in Path("tasks").glob("[a-z]*.py") if path.stem != "code")
    hashes = {stage: code_hashes(f"tasks.{stage}") for stage in stages}
    for stage, stage_hashes in hashes.items():
        write_json(PROJECT.code / f"{stage}.json", stage_hashes)
    return {"n_modules": {stage: len(stage_hashes) for stage, stage_hashes in hashes.items()}}


if __name__ == "__main__":
    run_stage("code", hash_code)
