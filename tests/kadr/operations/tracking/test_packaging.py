"""Files that a model package needs besides the model."""

from importlib.metadata import distributions
from pathlib import Path

from kadr.operations.tracking.packaging import write_distribution_metadata


def test_a_copy_of_kadr_finds_its_encoder_backends_through_the_packaged_metadata(tmp_path: Path) -> None:
    write_distribution_metadata(tmp_path)
    (distribution,) = distributions(path=[str(tmp_path)])
    names = {entry.name for entry in distribution.entry_points if entry.group == "kadr.image_encoders"}
    assert names == {"open_clip", "timm"}
