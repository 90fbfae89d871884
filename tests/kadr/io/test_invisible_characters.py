"""Tests of the removal of invisible characters, and of the characters that must stay."""

import unicodedata

import pytest

from kadr.io.invisible_characters import remove_invisible, visible
from kadr.io.texts import normalise_text, normalise_whitespace


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffA dog\u200b on\u00a0a\u202fbeach\ufeff", "A dog on a beach"),
        ("be\u00adside a wo\u2060rd\u200d", "beside a word"),
        ("\u202eevil\u202c \u2066name\u2069\u200e", "evil name"),
        ("a\x00b\x07\x9d c\u2028d\u3000e", "ab c d e"),
        ("dog\U000e0064\U000e006f\ufe0f", "dog"),
        ("\u3164\u2800a\u180e", "a"),
        ("\u200b\u00ad\ufeff \u00a0", ""),
    ],
)
def test_characters_that_nobody_sees_are_removed(text: str, expected: str) -> None:
    assert normalise_whitespace(text) == expected
    assert normalise_text(text) == expected.lower()
    assert normalise_whitespace(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a \U0001f468\u200d\U0001f469\u200d\U0001f467 family",  # joined emoji
        "\u2764\ufe0f\u200d\U0001f525 and 1\ufe0f\u20e3",  # a heart on fire, a keycap
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
        "\U0001f469\U0001f3fd\u200d\U0001f33e",  # a farmer with a skin tone
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a zero width non-joiner
        "\u0915\u094d\u200d\u0937 \u0915\u094d\u200d",  # Hindi, with joiners after a virama
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala
        "\u8fbb\U000e0100",  # a variant of a Japanese character
        "Übergröße, cafe\u0301, 東京, Київ №1, 1/2\u2009".strip("\u2009"),
    ],
)
def test_characters_that_change_the_writing_are_kept(text: str) -> None:
    assert remove_invisible(text) == text


def test_joiners_between_other_letters_are_removed() -> None:
    assert remove_invisible("auf\u200clage d\u200dog \u0645\u06cc\u200c") == "auflage dog \u0645\u06cc"


def test_every_format_character_is_removed_or_belongs_to_a_script() -> None:
    formats = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"]
    kept = {character for character in formats if remove_invisible(f"a{character}b") != "ab"}
    scripts = {unicodedata.name(character, "").split()[0] for character in kept}
    assert scripts <= {"ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN", "MONGOLIAN"}  # signs that are seen


def test_messages_show_invisible_characters() -> None:
    assert visible("a\u200b\ufeff\u00adb\u00a0c\tПривет") == "a\\u200b\\ufeff\\xadb\\xa0c\\tПривет"
    assert visible("\udcff.jpg") == "\\udcff.jpg"
