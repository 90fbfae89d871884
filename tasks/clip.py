"""Stage clip: the CLIP of the run, whatever its origin, as the artifact models/clip."""

from kadr.clip import Tables, obtain_clip
from kadr.memory import keep_freed_memory
from kadr.params import Params
from kadr.schemas import CAPTIONS, CLIP_PAIRS, IMAGES, read_table
from tasks import paths
from tasks.stage import Metrics, run


def stage(params: Params) -> Metrics:
    """Obtain the CLIP that `params.clip` asks for; return its figures."""
    keep_freed_memory()
    rated = read_table(paths.CLIP_PAIRS, CLIP_PAIRS)
    tables = Tables(read_table(paths.CORPUS, IMAGES), read_table(paths.CAPTIONS, CAPTIONS), rated)
    return obtain_clip(params.clip, params.seed, tables, paths.CLIP)


if __name__ == "__main__":
    run("clip", stage)
