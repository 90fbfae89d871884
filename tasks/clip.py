"""Stage clip: the CLIP of the run, whatever its origin, as the artifact models/clip."""

from kadr.clip import obtain_clip
from kadr.memory import keep_freed_memory
from kadr.params import Params
from kadr.schemas import CAPTIONS, IMAGES, read_table
from tasks import paths
from tasks.stage import Metrics, run


def stage(params: Params) -> Metrics:
    """Obtain the CLIP that `params.clip` asks for; return its figures."""
    keep_freed_memory()
    corpus, captions = read_table(paths.CORPUS, IMAGES), read_table(paths.CAPTIONS, CAPTIONS)
    return obtain_clip(params.clip, params.seed, corpus, captions, paths.CLIP)


if __name__ == "__main__":
    run("clip", stage)
