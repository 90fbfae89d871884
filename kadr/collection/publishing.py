"""Build and publish a new version of an index."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from kadr.collection.set_aside import write_set_aside
from kadr.index import Index, Versions

_WORK = "build"


def publish_index(versions: Versions, build: Callable[[Path, Path], Index], set_aside: pa.Table) -> Index:
    """Build an index in the folder of a new version, and publish the version. The caller must hold the lock.

    Args:
        versions: versions of the index.
        build: function that builds the index. Its arguments are the folder of the new version, and a folder for
            intermediate files. The intermediate files of an interrupted build stay, so that the next build can resume.
        set_aside: table of the images that are not indexed.
    """
    work = versions.home / _WORK
    with versions.publish() as version:
        index = build(version, work)
        index.write(version)
        write_set_aside(set_aside, version)
    shutil.rmtree(work, ignore_errors=True)
    return index
