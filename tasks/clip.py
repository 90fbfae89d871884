"""The `clip` stage writes the CLIP model of the pipeline run to models/clip."""

from kadr.cli.stage import Metrics, run_stage
from kadr.clip import ClipTables, build_clip
from kadr.encoders.allocator import keep_freed_memory
from kadr.io.schemas import CAPTIONS, CLIP_PAIRS, IMAGES, read_table
from kadr.params import Params
from kadr.project import PROJECT


def stage(params: Params) -> Metrics:
    """Download, copy or train the CLIP model, as set in section `clip` of params.yaml, and return its metrics."""
    keep_freed_memory()
    tables = ClipTables(
        corpus=read_table(PROJECT.corpus, IMAGES),
        captions=read_table(PROJECT.captions, CAPTIONS),
        rated=read_table(PROJECT.clip_pairs, CLIP_PAIRS),
        decoding=params.decoding,
    )
    return build_clip(params.clip, params.seed, tables, PROJECT.clip)


if __name__ == "__main__":
    run_stage("clip", stage)
