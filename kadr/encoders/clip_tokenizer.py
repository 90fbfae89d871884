"""Tokenise texts for CLIP without torch. The tokens equal those of `open_clip.SimpleTokenizer`."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ftfy
import numpy as np
import numpy.typing as npt
import regex

_WORD = regex.compile(
    r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)
_START, _END = "<start_of_text>", "<end_of_text>"
_END_OF_WORD = "</w>"


class ClipTokenizer:
    """Tokenizer of CLIP: byte pair encoding of words in lower case (Sennrich et al. 2016).

    Attributes:
        context_length: maximum number of tokens of a text, with the tokens at the start and the end.

    Args:
        path: file that `write_tokenizer` wrote.
        context_length: maximum number of tokens of a text, with the tokens at the start and the end.
    """

    def __init__(self, path: Path, context_length: int) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        vocabulary = self._tokenizer.get_added_tokens_decoder().items()
        self._special = {token.content: number for number, token in vocabulary}
        self.context_length = context_length

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Tokenise texts.

        Returns:
            Token IDs, (n_texts, length). The length is that of the longest text, and shorter texts are padded with 0.
        """
        start, end = self._special[_START], self._special[_END]
        rows = [[start, *self.encode(text)[: self.context_length - 2], end] for text in texts]
        tokens = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        for n, ids in enumerate(rows):
            tokens[n, : len(ids)] = ids
        return tokens

    def encode(self, text: str) -> list[int]:
        """Return the token IDs of a text, without the tokens at the start and the end."""
        words = _WORD.findall(_clean(text))
        return list(self._tokenizer.encode(words, is_pretokenized=True, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of token IDs, with a space after each word."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False).replace(_END_OF_WORD, " "))


def write_tokenizer(tokenizer: Any, path: Path) -> None:
    """Write a tokenizer of open_clip to a file that `ClipTokenizer` reads.

    Args:
        tokenizer: `open_clip.SimpleTokenizer` with its default settings.
        path: file to write, in the JSON format of the package tokenizers.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    merges = list(tokenizer.bpe_ranks)
    written = Tokenizer(models.BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix=_END_OF_WORD))
    written.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    written.decoder = decoders.ByteLevel()
    written.add_special_tokens([_START, _END])
    written.save(str(path), pretty=False)


def _clean(text: str) -> str:
    """Repair broken Unicode, replace HTML entities, and normalise whitespace and case, as open_clip does."""
    repaired = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(repaired.split()).lower()
