"""How text encoders read texts: the words that a tokenizer does not know, and the end of a text that is too long."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from kadr.encoders.scripts import LATIN, script_of, vocabulary_scripts

_WORD = re.compile(r"[^\W\d_]{3,}")
_MAX_LETTERS_PER_PIECE = 2  # on average. 99.9 % of the words of Flickr8k captions have more
_SAMPLE_SIZE = 5000  # number of tokens of a vocabulary whose scripts are counted


@dataclass(frozen=True)
class UnknownWord:
    """A word that is not in the vocabulary of a tokenizer, and the pieces that the tokenizer reads instead."""

    word: str
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class TextReading:
    """How a text encoder reads a text.

    Attributes:
        n_tokens: number of tokens of the text, without the tokens at the start and the end.
        max_tokens: maximum number of tokens that the encoder reads.
        unread: end of the text that the encoder does not read. It is empty if the encoder reads the whole text.
        unknown_words: words in Latin letters that the tokenizer spells out in pieces of one or two letters.
        only_unknown_words: whether all words of at least three letters are unknown.
    """

    n_tokens: int
    max_tokens: int
    unread: str
    unknown_words: tuple[UnknownWord, ...]
    only_unknown_words: bool


class TokenReader(Protocol):
    """Interface to the tokenizer of a text encoder."""

    @property
    def scripts(self) -> frozenset[str]:
        """Scripts in which the tokenizer knows more than single letters, by their Unicode names."""

    def read(self, text: str) -> TextReading:
        """Return how the encoder reads a text."""


class ClipTokenReader:
    """Read texts with the tokenizer of CLIP, `open_clip.SimpleTokenizer`.

    Args:
        tokenizer: tokenizer of an open_clip model.
    """

    scripts = frozenset({LATIN})  # of the vocabulary of CLIP, which is the same in all models

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = tokenizer.context_length - 2  # without the tokens at the start and the end

    def read(self, text: str) -> TextReading:
        """Return how the encoder reads a text."""
        tokens = self._tokenizer.encode(text)
        unread = self._tokenizer.decode(tokens[self._max_tokens :]).strip()
        return _make_reading(text, len(tokens), self._max_tokens, unread, self._split)

    def _split(self, word: str) -> list[str]:
        return [self._tokenizer.decode([token]).strip() for token in self._tokenizer.encode(word)]


class HubTokenReader:
    """Read texts with a tokenizer of the package transformers.

    Args:
        tokenizer: fast tokenizer.
        max_tokens: maximum number of tokens that the encoder reads, with the tokens at the start and the end.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens - tokenizer.num_special_tokens_to_add()

    @cached_property
    def scripts(self) -> frozenset[str]:
        """Scripts in which the tokenizer knows more than single letters, by their Unicode names."""
        size = len(self._tokenizer)
        ids = range(0, size, max(1, size // _SAMPLE_SIZE))
        tokens = self._tokenizer.convert_ids_to_tokens(list(ids))
        return vocabulary_scripts(
            self._tokenizer.convert_tokens_to_string([token]) for token in tokens if token is not None
        )

    def read(self, text: str) -> TextReading:
        """Return how the encoder reads a text."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = encoded["offset_mapping"]
        unread = text[offsets[self._max_tokens][0] :] if len(offsets) > self._max_tokens else ""
        return _make_reading(text, len(offsets), self._max_tokens, unread, self._split)

    def _split(self, word: str) -> list[str]:
        encoded = self._tokenizer(word, add_special_tokens=False, return_offsets_mapping=True)
        return [word[start:end] for start, end in encoded["offset_mapping"]]


def token_reader(tokenizer: Any, max_tokens: int | None = None) -> TokenReader | None:
    """Return a reader for the tokenizer of an encoder, or None if the tokenizer is of an unknown kind.

    Args:
        tokenizer: tokenizer of open_clip or transformers.
        max_tokens: maximum number of tokens that the encoder reads. None for the context length of the tokenizer.
    """
    if type(tokenizer).__name__ == "SimpleTokenizer":
        return ClipTokenReader(tokenizer)
    max_tokens = max_tokens or getattr(tokenizer, "context_length", None)
    hub_tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    if max_tokens and getattr(hub_tokenizer, "is_fast", False):
        return HubTokenReader(hub_tokenizer, max_tokens)
    return None


def _make_reading(
    text: str, n_tokens: int, max_tokens: int, unread: str, split: Callable[[str], Sequence[str]]
) -> TextReading:
    words = list(dict.fromkeys(_WORD.findall(text)))
    unknown = tuple(_find_unknown(words, split))
    return TextReading(n_tokens, max_tokens, unread, unknown, 0 < len(words) == len(unknown))


def _find_unknown(words: Sequence[str], split: Callable[[str], Sequence[str]]) -> Iterator[UnknownWord]:
    for word in words:
        if script_of(word[0]) != LATIN:
            continue
        pieces = tuple(split(word))
        mean_length = len(word) / max(1, len(pieces))
        # A word of four letters in two pieces can be a rare word, such as "tarp".
        if mean_length < _MAX_LETTERS_PER_PIECE or (mean_length == _MAX_LETTERS_PER_PIECE and len(pieces) > 2):
            yield UnknownWord(word, pieces)
