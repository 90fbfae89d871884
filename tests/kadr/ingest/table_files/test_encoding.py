"""Tests of encodings: words tell the encoding, and a file without enough evidence is an error."""

import gzip
import logging
from pathlib import Path

import pytest

from kadr.errors import InputError
from kadr.ingest.columns import Columns
from kadr.ingest.table_files import declare_encoding, read_rows, text_file_encodings

TEXTS = {
    "de": ["Ein Mädchen läuft über die Wiese", "Zwei Männer spielen Fußball", "Ältere Frauen öffnen die Tür"],
    "fr": ["Un garçon mange une crêpe près de la fenêtre", "Une femme âgée", "Le bébé dort déjà", "L'été à Besançon"],
    "ru": ["Рыжий кот спит на диване", "Мальчик в жёлтой шапке ест сыр", "Медведь №1 под деревом"],
    "uk": ["Дівчинка в жовтій шапці їсть сир", "Човен пливе по хвилях", "Рудий кіт спить на дивані"],
    "pl": ["Dwóch mężczyzn gra w piłkę na plaży", "Łódź płynie po falach", "Dziewczynka w żółtej czapce je ser"],
    "ja": ["犬が草の上を走っている", "黄色い帽子の女の子がチーズを食べる", "猫がソファで寝ている"],
    "zh": ["一只狗在草地上跑", "戴黄帽子的女孩在吃奶酪", "橘猫睡在沙发上"],
}


def write(path: Path, texts: list[str], encoding: str) -> Path:
    rows = ["image,text", *(f"{n}.jpg,{text}" for n, text in enumerate([*texts, "A dog on a beach"]))]
    path.write_bytes("\r\n".join(rows).encode(encoding))
    return path


def read_texts(path: Path) -> list[str]:
    return read_rows(path, Columns(("image", "text"))).rows["text"].tolist()[:-1]


@pytest.mark.parametrize(
    ("language", "encodings"),
    [
        ("de", ["cp1252", "mac-roman", "cp850", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
        ("fr", ["cp1252", "iso-8859-15", "mac-roman"]),
        ("ru", ["cp1251", "koi8-r", "cp866", "mac-cyrillic", "iso-8859-5", "utf-16-le"]),
        ("uk", ["cp1251", "koi8-u"]),
        ("pl", ["cp1250", "iso-8859-2"]),
        ("ja", ["shift_jis", "euc-jp"]),
        ("zh", ["gb18030", "big5"]),
    ],
)
def test_the_words_tell_the_encoding(tmp_path: Path, language: str, encodings: list[str]) -> None:
    texts = TEXTS[language]
    for encoding in encodings:
        written = [text.encode(encoding, errors="ignore").decode(encoding) for text in texts]
        assert read_texts(write(tmp_path / "t.csv", written, encoding)) == written, encoding


def test_other_encodings_are_logged_and_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "utf8.csv", TEXTS["ru"], "utf-8-sig")
    write(tmp_path / "old.csv", TEXTS["ru"], "cp1251")
    with caplog.at_level(logging.WARNING):
        assert read_texts(tmp_path / "utf8.csv") == read_texts(tmp_path / "old.csv") == TEXTS["ru"]
    assert "old.csv is not in UTF-8 and was read as cp1251" in caplog.text
    assert "utf8.csv" not in caplog.text
    assert text_file_encodings(tmp_path, ["utf8.csv", "old.csv"]) == {"old.csv": "cp1251"}


def test_too_little_text_is_an_error_unless_the_encoding_is_declared(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["Un chien à la plage"], "cp1252")
    with pytest.raises(
        InputError, match=r"t\.csv, line 2: the bytes e0 20 6c 61 are not UTF-8\. The encoding is probably cp1252 or"
    ):
        read_texts(path)
    with declare_encoding("cp1252"):
        assert read_texts(path) == ["Un chien à la plage"]


def damage(text: str) -> bytes:
    """Return a text in UTF-8 without one byte of its last letter."""
    return text.encode()[:-1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            damage("image,text\na.jpg,Жук\nb.jpg,жу"),
            "line 3: the bytes d1 are not UTF-8, although most other letters are",
        ),
        (b"image,text\n" + "a.jpg,Рыжий кот\n".encode("cp1251") * 9 + "b.jpg,кот и пёс\n".encode(), "line 11 is"),
        (b"PK\x03\x04\x14\0", "no text table. Its content is that of an Excel file or a zip archive"),
        (gzip.compress(b"image,text\n", mtime=0), r"Its content is that of a gzip file \(\.gz\)"),
        (b"image,text\na.jpg,x\0y\n", "line 2: the line contains a zero byte"),
        (b"image,text\na.jpg," + bytes(range(255, 127, -1)) + b"\n", "the bytes ff fe fd fc .* No encoding fits"),
        ("image,text\na.jpg,кот\n".encode("utf-16")[:-1], "are not utf-16"),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_texts(tmp_path / "t.csv")


def test_czech_in_iso_8859_2_and_slovak_in_cp1250_are_told_apart(tmp_path: Path) -> None:
    czech = ["Pes běží po trávě", "Dívka ve žluté čepici", "Muž čte knihu", "Dvě děti hrají fotbal"]
    slovak = ["Veľký pes beží po tráve", "Žena číta knihu", "Šedá mačka spí", "Chlapec má žltú čiapku"]
    for texts, encoding in ((czech, "iso-8859-2"), (czech, "cp1250"), (slovak, "cp1250")):
        assert read_texts(write(tmp_path / "t.csv", texts, encoding)) == texts
