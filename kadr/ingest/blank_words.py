"""Words that tables contain in place of a rating or a rater ID.

Blank words, such as N/A or NULL, mean that a cell is empty. Words such as unsure mean that a rater gave no rating.
Texts and image names are never compared with these words.
"""

import unicodedata
from collections.abc import Collection

import pandas as pd

BLANK_WORDS = frozenset(
    {
        "", "-", "--", "---", "–", "—", ".", "..", "...", "…", "?", "/", "\\n",
        "n/a", "na", "n.a.", "n.a", "#n/a", "#na", "<na>", "nan", "-nan", "nat", "none", "null", "(null)", "[null]",
        "<null>", "nil", "(blank)", "(empty)", "blank", "empty", "undefined", "missing", "not available",
        "#value!", "#ref!", "#div/0!", "#name?", "#num!", "#null!",
        "н/д", "нет данных", "k. a.", "k.a.", "keine angabe",
    }
)  # fmt: skip
"""Words that mean that a cell is empty, as `normalise_word` returns them."""

NO_VOTE_WORDS = frozenset(
    {
        "unsure", "not sure", "i'm not sure", "don't know", "dont know", "do not know", "i don't know", "idk", "dk",
        "can't tell", "cannot tell", "can't say", "cannot say", "unknown", "undecided", "unclear", "skip", "skipped",
        "pass", "no answer", "no opinion", "no vote", "abstain", "not rated", "unrated",
        "не знаю", "не уверен", "не уверена", "не уверен(а)", "затрудняюсь ответить", "затрудняюсь", "пропуск",
        "пропустить", "нет ответа", "не знаю / не уверен",
        "weiß nicht", "weiss nicht", "unsicher", "keine ahnung", "je ne sais pas", "ne sait pas", "nsp", "no sé",
        "no se", "non so", "nie wiem", "не впевнений", "不确定", "わからない",
    }
)  # fmt: skip
"""Words that mean that a rater gave no rating, as `normalise_word` returns them."""

NO_RATING_WORDS = BLANK_WORDS | NO_VOTE_WORDS
"""Words that mean that a cell contains no rating or vote."""

ABSENT_WORDS = frozenset(
    {"нет", "нету", "отсутствует", "пусто", "немає", "відсутнє", "keine", "kein", "aucun", "aucune"}
)
"""Words that mean that a cell is empty, or that a vote is negative. In a column of numbers, the cell is empty."""


def normalise_word(cell: str) -> str:
    """Return a cell in lower case, with ordinary digits, apostrophes, minus signs and single spaces.

    >>> normalise_word(" Don’t  KNOW ")
    "don't know"
    >>> normalise_word("４，５")
    '4,5'
    """
    return " ".join(unicodedata.normalize("NFKC", cell).casefold().replace("’", "'").replace("−", "-").split())


def number_blank_words(cells: "pd.Series[str]") -> frozenset[str]:
    """Return the words that mean that a cell of a number column contains no number.

    ABSENT_WORDS are negative votes if another cell of the column is a positive vote.
    """
    has_yes = any(normalise_word(cell) in {"да", "так", "ja", "oui"} for cell in cells.unique())
    return NO_RATING_WORDS if has_yes else NO_RATING_WORDS | ABSENT_WORDS


def clear_words(cells: "pd.Series[str]", words: Collection[str] = BLANK_WORDS) -> "pd.Series[str]":
    """Replace each cell that contains one of the words by "". Other cells are returned unchanged."""
    found = [cell for cell in cells.unique() if cell and normalise_word(cell) in words]
    return cells.mask(cells.isin(found), "") if found else cells


def contains_word(cells: "pd.Series[str]", words: Collection[str]) -> "pd.Series[bool]":
    """Return whether each cell contains one of the words."""
    found = [cell for cell in cells.unique() if normalise_word(cell) in words]
    return cells.isin(found) if found else pd.Series(data=False, index=cells.index)
