"""Stage clip: the CLIP of the run, whatever its origin, as the artifact models/clip."""

from kadr.cli.stage import Metrics, run
from kadr.clip import Tables, obtain_clip
from kadr.encoders.allocator import keep_freed_memory
from kadr.io.schemas import CAPTIONS, CLIP_PAIRS, IMAGES, read_table
from kadr.params import Params
from kadr.project import PROJECT


def stage(params: Params) -> Metrics:
    """Obtain the CLIP that `params.clip` asks for; return its figures."""
    keep_freed_memory()
    rated = read_table(PROJECT.clip_pairs, CLIP_PAIRS)
    tables = Tables(read_table(PROJECT.corpus, IMAGES), read_table(PROJECT.captions, CAPTIONS), rated)
    return obtain_clip(params.clip, params.seed, tables, PROJECT.clip)


if __name__ == "__main__":
    run("clip", stage)
