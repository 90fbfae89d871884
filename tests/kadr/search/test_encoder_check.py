"""Encoders of queries are compared with the index, also if the vectors were computed elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from kadr.errors import ParamsError, SearchError
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings
from kadr.params import Params, parse_params
from kadr.search.encoder_check import check_same_encoder, query_image_params

LIVE = {"encoder": "open_clip ViT-B-32 openai", "architecture": "open_clip {}", "weights_sha256": "00ff"}
OTHER = {"encoder": "open_clip ViT-L-14 openai", "architecture": "open_clip {}", "weights_sha256": "1234"}
PRECOMPUTED = {"encoder": "ViT-B-32/openai", "architecture": "precomputed ViT-B-32/openai 2", "weights_sha256": ""}
CLIP = {"backend": "open_clip", "model": "ViT-B-32", "pretrained": "openai"}
VECTORS = {"backend": "precomputed", "path": "vectors", "model": "open_clip:ViT-B-32/openai", "dim": 2}


def make_index(metadata: dict[str, str]) -> Index:
    images = pa.table({"image_id": ["a"], "path": ["a"], "status": ["ok"]})
    return build_index(images, {"clip": Embeddings(["a"], np.eye(1, 2, dtype=np.float32), metadata)}, "clip", 10)


def make_params(project: Path, image: dict[str, Any], text: dict[str, Any]) -> Params:
    values = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    values["embed_images"]["encoders"], values["embed_texts"]["encoders"] = {"clip": image}, {"clip": text}
    return parse_params(values, "params.yaml")


@pytest.mark.parametrize(("index", "query"), [(PRECOMPUTED, LIVE), (LIVE, PRECOMPUTED), (PRECOMPUTED, PRECOMPUTED)])
def test_precomputed_vectors_are_compared_by_the_name_of_the_model(
    index: dict[str, str], query: dict[str, str]
) -> None:
    check_same_encoder(make_index(index), query)
    with pytest.raises(SearchError, match="with encoder ViT-L-14/ope"):
        check_same_encoder(make_index(PRECOMPUTED), OTHER)


@pytest.mark.parametrize(("image", "text"), [(VECTORS, CLIP), (CLIP, VECTORS), (VECTORS, VECTORS)])
def test_encoders_of_the_same_model_share_their_vector_space(
    project: Path, image: dict[str, Any], text: dict[str, Any]
) -> None:
    assert make_params(project, image, text).shared_encoders == ["clip"]
    with pytest.raises(ParamsError, match=r"embed_images.encoders.clip has vectors of .*Set both to the same model"):
        make_params(project, image, text | {"model": "ViT-L-14/openai" if text is VECTORS else "ViT-L-14"})


def test_query_images_are_embedded_by_the_text_encoder_of_the_same_name(project: Path) -> None:
    params = make_params(project, VECTORS, CLIP)
    assert query_image_params(params, "clip") == params.embed_texts.encoders["clip"]
    with pytest.raises(SearchError, match=r"set embed_texts\.encoders\.clip to the CLIP model"):
        query_image_params(make_params(project, VECTORS, VECTORS), "clip")
