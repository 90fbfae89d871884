"""Measure how well py3langid tells the language of short queries, by the rule of `kadr.search.languages`.

The printed table contains the share of texts that an English encoder would refuse: captions of Flickr8k, and 1 to 3
consecutive words of the captions, should not be refused. The queries of query_languages.tsv, written for this benchmark
in 11 other languages, should be refused. With --lingua, the same rule is also measured with lingua-language-detector.

    python benchmarks/languages.py ../shared/flickr8k/corpus_captions.tsv      # 5 seconds
"""

import argparse
import csv
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kadr.io.texts import normalise_text
from kadr.search import languages
from kadr.search.languages import KnownLanguages

ENGLISH = KnownLanguages(frozenset({"en"}), frozenset({"LATIN"}))
QUERIES = Path(__file__).with_name("query_languages.tsv")
N_CAPTIONS = 1500


def read_groups(captions: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the texts of each group."""
    with captions.open(encoding="utf-8") as file:
        texts = [row[-1] for row in csv.reader(file, delimiter="\t")][1:]
    chosen = random.Random(0).sample(texts, N_CAPTIONS)
    yield "captions", chosen
    for n in (1, 2, 3):
        yield f"{n} words of a caption", list(cut_words(chosen, n))
    queries = [line.split("\t") for line in QUERIES.read_text(encoding="utf-8").splitlines()]
    for language in sorted({code for code, _ in queries}):
        yield f"queries in {language}", [text for code, text in queries if code == language]


def cut_words(texts: list[str], n: int) -> Iterator[str]:
    """Yield n consecutive words of each text that has enough words."""
    rng = random.Random(n)
    for text in texts:
        words = [word for word in text.lower().split() if word.isalpha()]
        if len(words) >= n:
            start = rng.randrange(len(words) - n + 1)
            yield " ".join(words[start : start + n])


def lingua_probabilities() -> Callable[[str], Mapping[str, float]]:
    """Return a function like `language_probabilities` that uses lingua."""
    from lingua import LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()
    return lambda text: {
        confidence.language.iso_code_639_1.name.lower(): confidence.value
        for confidence in detector.compute_language_confidence_values(text)
    }


def measure(captions: Path) -> None:
    """Print the share of refused texts in each group, and the time per text."""
    for name, texts in read_groups(captions):
        start = time.perf_counter()
        refused = [text for text in texts if ENGLISH.find_unknown(normalise_text(text))]
        milliseconds = (time.perf_counter() - start) / len(texts) * 1000
        share = len(refused) / len(texts)
        print(f"{name:22} {len(texts):5} texts  {share:7.2%} refused  {milliseconds:.2f} ms each  {refused[:3]}")


def main() -> None:
    """Measure py3langid and, with --lingua, lingua."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path, help="table of captions, the last column is the text")
    parser.add_argument("--lingua", action="store_true", help="also measure lingua")
    arguments = parser.parse_args()
    detectors = {"py3langid": lambda: languages.language_probabilities}
    if arguments.lingua:
        detectors["lingua"] = lingua_probabilities
    for name, load in detectors.items():
        start = time.perf_counter()
        languages.language_probabilities = load()
        languages.language_probabilities("a text that loads the model")
        print(f"{name}: loaded in {time.perf_counter() - start:.1f} s")
        languages._find_unknown.cache_clear()
        measure(arguments.captions)


if __name__ == "__main__":
    main()
