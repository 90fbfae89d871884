"""Choose the rating scale of each source: from the setting `ingest.rating_scale`, or from the ratings in all files."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kadr.errors import InputError
from kadr.ingest.blank_words import normalise_word
from kadr.ingest.number_cells import DecimalSeparator, find_decimal_separator, parse_number
from kadr.ingest.rating_scale import CROWD, CROWD_SCALE, EXPERT, EXPERT_SCALE, RatingScale
from kadr.ingest.raw_input import RawLongRatings, RawRatings
from kadr.ingest.row_scales import stated_scales
from kadr.ingest.scale_detection import (
    Scale,
    describe_values,
    detect_scale,
    find_codes,
    find_contradiction,
    suggest_scales,
)
from kadr.ingest.vote_cells import parse_vote
from kadr.params import ScaleSetting, SourceScales

logger = logging.getLogger(__name__)

_MAX_STRAY_VOTES, _MAX_STRAY_VOTE_SHARE = 2, 0.01


@dataclass(frozen=True)
class ChosenScale:
    """The scale of one source, and the reason for it.

    Attributes:
        scale: the scale.
        chosen_by: `setting` if params.yaml contains the scale, `auto` if it was detected, `rows` if all
            rows state their own scale, `default` if the source has no ratings that need a scale.
        reason: evidence for the scale.
    """

    scale: RatingScale
    chosen_by: str
    reason: str

    def to_metrics(self) -> dict[str, object]:
        """Return the entry for metrics/ingest.json."""
        ends = {"minimum": self.scale.minimum, "maximum": self.scale.maximum}
        return {**ends, "chosen_by": self.chosen_by, "reason": self.reason}


@dataclass
class _ValueCounts:
    """Numbers of ratings with each value of one source: in total, by file, and by column of a file."""

    by_file: dict[str, "pd.Series[int]"] = field(default_factory=dict)
    by_column: dict[str, "pd.Series[int]"] = field(default_factory=dict)

    def add(self, file: str, column: str, counts: "pd.Series[int]") -> None:
        if len(counts):
            self.by_column[f"{file}, column {column}"] = counts
            self.by_file[file] = _sum_counts([counts, self.by_file[file]]) if file in self.by_file else counts

    @property
    def total(self) -> "pd.Series[int]":
        return _sum_counts(list(self.by_file.values()))


def choose_scales(files: Sequence[RawRatings | RawLongRatings], setting: SourceScales) -> dict[str, ChosenScale]:
    """Choose the rating scale of each source.

    Args:
        files: content of all ratings files. Rows with their own scale, in the columns scale_min and scale_max, are
            ignored.
        setting: the setting `ingest.rating_scale`.

    Raises:
        InputError: the setting is `auto`, and the ratings do not determine the scale, or files contradict each other.
    """
    chosen = {
        EXPERT: _choose(EXPERT_SCALE, setting.expert, _count_values(files, EXPERT)),
        CROWD: _choose(CROWD_SCALE, setting.crowd, _count_values(files, CROWD)),
    }
    for source, choice in chosen.items():
        if choice.chosen_by == "default" and (stated := stated_scales(files, source)):
            chosen[source] = _describe_stated(choice.scale, stated)
    for source, choice in chosen.items():
        if choice.chosen_by != "default":
            logger.info("The scale of the %s ratings is %s: %s.", source, choice.scale, choice.reason)
    return chosen


def _choose(default: RatingScale, setting: ScaleSetting, values: _ValueCounts) -> ChosenScale:
    counts = values.total
    if setting != "auto":
        scale = RatingScale(default.source, *setting)
        _warn_about_unused_ends(scale, counts)
        return ChosenScale(scale, "setting", "ingest.rating_scale contains the scale")
    if counts.empty:
        return ChosenScale(default, "default", "the source has no numbers that need a scale")
    if default.source == CROWD:
        return _detect_crowd_scale(default, values)
    return _detect_expert_scale(default, values)


def _describe_stated(default: RatingScale, stated: Sequence[tuple[float, float]]) -> ChosenScale:
    """Return the scale of a source all of whose numbers have a scale in their row."""
    scale = RatingScale(default.source, *stated[0]) if len(stated) == 1 else default
    scales = ", ".join(f"{low:g} to {high:g}" for low, high in stated)
    return ChosenScale(scale, "rows", f"each row states its own scale, {scales}")


def _detect_expert_scale(default: RatingScale, values: _ValueCounts) -> ChosenScale:
    counts = values.total
    detected = detect_scale(counts)
    if detected is None:
        raise InputError(
            f"{_name_files(values)}: the scale of the expert ratings is uncertain. The ratings are "
            f"{describe_values(counts)}. With `auto`, the ratings must use a common scale, such as 1 to 5, to both "
            f"ends and in every step. {_suggest_setting(default.source, suggest_scales(counts))}{_code_hint(counts)}"
        )
    scale, evidence = detected
    if contradiction := find_contradiction(scale, values.by_file, values.by_column):
        name, other = contradiction
        raise InputError(
            f"{name}: the ratings use the scale {other[0]:g} to {other[1]:g}, but all expert ratings together use "
            f"{scale[0]:g} to {scale[1]:g}. With `auto`, all expert ratings must use the same scale. If they do, "
            f"{_suggest_setting(default.source, [scale, other]).replace('Set', 'set', 1)} Otherwise, convert the "
            "ratings, or add the columns scale_min and scale_max, which state the scale of each row."
        )
    zero = " If 0 means that a pair was not rated, clear these cells" if scale[0] == 0 and scale[1] > 1 else ""
    return ChosenScale(RatingScale(default.source, *map(float, scale)), "auto", f"{evidence}.{zero}".rstrip("."))


def _detect_crowd_scale(default: RatingScale, values: _ValueCounts) -> ChosenScale:
    """Check that the crowd ratings are votes or shares from 0 to 1."""
    counts = values.total
    outside = counts[(counts.index < 0) | (counts.index > 1)]
    if outside.sum() > max(_MAX_STRAY_VOTES, _MAX_STRAY_VOTE_SHARE * counts.sum()):
        raise InputError(
            f"{_name_files(values)}: {outside.sum():,} of {counts.sum():,} crowd ratings are outside of the scale 0 to "
            f"1, such as {outside.index[0]:g} and {outside.index[-1]:g}. Expected votes (0 or 1) or shares of positive "
            f"votes (0 to 1). {_suggest_setting(default.source, suggest_scales(counts))}"
        )
    return ChosenScale(default, "auto", "the votes and the shares of positive votes are from 0 to 1")


def _suggest_setting(source: str, scales: Sequence[Scale]) -> str:
    """Return the fix of an uncertain scale, with the likely values of the setting."""
    options = [f"[{low:g}, {high:g}]" for low, high in scales]
    if source == CROWD:
        options = [f"{{crowd: {option}}}" for option in options]
    likely = f"{', '.join(options[:-1])} or {options[-1]}" if len(options) > 1 else options[0]
    return (
        "Set ingest.rating_scale in params.yaml to the lowest and the highest rating that raters could give. Likely "
        f"values are {likely}."
    )


def _code_hint(counts: "pd.Series[int]") -> str:
    codes = " or ".join(f"{code:g}" for code in find_codes(counts))
    return f" If {codes} means that a pair was not rated, clear these cells." if codes else ""


def _warn_about_unused_ends(scale: RatingScale, counts: "pd.Series[int]") -> None:
    """Log a warning if no rating reaches the upper half step of the scale that the setting states."""
    if len(counts) and counts.index[-1] < scale.maximum - 0.1 * (scale.maximum - scale.minimum):
        logger.warning(
            "No %s rating is above %g, but the scale in ingest.rating_scale is %s. If the scale ends at %g, correct "
            "the setting.",
            scale.source, counts.index[-1], scale, counts.index[-1],
        )  # fmt: skip


def _name_files(values: _ValueCounts) -> str:
    return " and ".join(values.by_file)


def _count_values(files: Sequence[RawRatings | RawLongRatings], source: str) -> _ValueCounts:
    """Count the ratings of one source with each value, in all files."""
    values = _ValueCounts()
    for raw in files:
        separator = find_file_separator(raw)
        for cells in _source_columns(raw, source):
            values.add(raw.file, str(cells.name), _count_numbers(cells, source, separator))
    return values


def find_file_separator(raw: RawRatings | RawLongRatings) -> DecimalSeparator:
    """Return the evidence about the decimal separator in the rating columns of a file."""
    columns = ["rating"] if isinstance(raw, RawLongRatings) else [*raw.rating_columns, *(raw.vote_columns or ())]
    return find_decimal_separator(raw.rows[column] for column in columns)


def _source_columns(raw: RawRatings | RawLongRatings, source: str) -> Iterator["pd.Series[str]"]:
    """Yield the rating columns of a source, without rows that have their own scale."""
    rows = raw.rows
    if "scale_min" in rows and "scale_max" in rows:
        rows = rows[(rows["scale_min"] == "") | (rows["scale_max"] == "")]
    if isinstance(raw, RawLongRatings):
        yield rows.loc[rows["source"] == source, "rating"]
    elif source == EXPERT:
        yield from (rows[column] for column in raw.expert_columns)
    elif raw.crowd_column is not None:
        yield rows[raw.crowd_column]


def _count_numbers(cells: "pd.Series[str]", source: str, separator: DecimalSeparator) -> "pd.Series[int]":
    """Count the cells with each number, sorted by number. Cells without a plain number are ignored."""
    counts = cells.value_counts()
    words = pd.Series(counts.index, dtype="str")
    if source == EXPERT:
        numbers = [parse_number(normalise_word(word), separator) for word in words]
    else:
        numbers = [parse_vote(normalise_word(word), separator).number for word in words]
    values = np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)
    return counts.set_axis(values).loc[~np.isnan(values)].groupby(level=0).sum()


def _sum_counts(counts: Sequence["pd.Series[int]"]) -> "pd.Series[int]":
    """Add the numbers of ratings with each value, and sort them by value."""
    return pd.concat(counts).groupby(level=0).sum() if counts else pd.Series(dtype=np.int64)
