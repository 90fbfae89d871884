"""The ingest part's quarantine: what is set aside, by which rule, and when it is too much."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from kadr.errors import TooManyBad
from kadr.ingest.image_checks import Photo
from kadr.io.schemas import QUARANTINE

OVERLAPS = ("image_in_train", "image_in_test")  # rules that set aside what is good in itself
RATED_AGAIN = "rated_again"  # nothing bad either: a rater's later rating of the pair stands
_SHOWN = 3


@dataclass(frozen=True)
class Rule:
    """What a row has to keep to.

    Attributes:
        name: the rule's name in the quarantine.
        column: whose value the quarantine shows.
        breaks: rows -> whether each breaks the rule.
    """

    name: str
    column: str
    breaks: Callable[[pd.DataFrame], "pd.Series[bool]"]


def sift(
    file: str, rows: pd.DataFrame, names: dict[str, str], rules: Sequence[Rule]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part rows that keep to every rule from those that break one; a row is set aside by the first rule it breaks.

    Args:
        file: where the rows are from.
        rows: text; index `row`.
        names: what the file itself calls the columns.
        rules: in order; each sees only the rows that kept to those before it.

    Returns:
        The good rows, and the quarantine of the others.
    """
    aside = []
    for rule in rules:
        broken = rule.breaks(rows)
        if broken.any():
            column = names.get(rule.column, rule.column)
            aside.append(quarantined(file, column, rows.loc[broken, rule.column], rule.name))
            rows = rows[~broken]
    return rows, pd.concat([no_quarantine(), *aside])


def photo_rules(status: Mapping[str, str]) -> tuple[Rule, ...]:
    """Rules that a row's photo is there and good; `status` of each photo by image_id: ok, a reason, or an overlap."""

    def of(*wanted: str) -> Callable[[pd.DataFrame], "pd.Series[bool]"]:
        return lambda rows: rows["image_id"].map(status).fillna("missing").isin(wanted)

    return (
        Rule("image_empty", "image_id", lambda rows: rows["image_id"] == ""),
        *(Rule(overlap, "image_id", of(overlap)) for overlap in OVERLAPS),
        Rule("image_missing", "image_id", of("missing")),
        Rule("image_set_aside", "image_id", lambda rows: ~of("ok")(rows)),
    )


def quarantined(file: str, column: str, values: "pd.Series[str]", rule: str) -> pd.DataFrame:
    """Quarantine of the rows in the index of `values`."""
    rows = values.index.astype("Int64")
    return pd.DataFrame(
        {"file": file, "row": rows, "column": column, "value": values.to_numpy(), "rule": rule, "kind": "row"},
        columns=QUARANTINE.names,
    )


def quarantined_photos(photos: Sequence[Photo], source: str) -> pd.DataFrame:
    """Quarantine of the photos whose status is not ok."""
    aside = [
        {"file": photo.path.removeprefix(f"{source}/"), "rule": photo.status, "kind": "image"}
        for photo in photos
        if photo.status != "ok"
    ]
    return pd.DataFrame(aside, columns=QUARANTINE.names)


def no_quarantine() -> pd.DataFrame:
    """A quarantine without a row."""
    return pd.DataFrame(columns=QUARANTINE.names)


def count_bad_rows(quarantine: pd.DataFrame) -> int:
    """How many rows have something in this quarantine."""
    return len(quarantine[["file", "row"]].drop_duplicates())


def check_bad_rows(quarantine: pd.DataFrame, n_rows: int, limit: float) -> None:
    """Raise TooManyBad where more than a share `limit` of rating rows have something bad in this quarantine of them."""
    quarantine = quarantine[quarantine["rule"] != RATED_AGAIN]
    n_bad = count_bad_rows(quarantine)
    if n_bad > limit * n_rows:
        head = f"{n_bad:,} of {n_rows:,} rating rows cannot be used ({n_bad / n_rows:.1%})"
        raise TooManyBad(f"{head}, {_over('ingest.max_bad_rows', limit, quarantine)}")


def check_bad_photos(quarantine: pd.DataFrame, n_photos: int, limit: float) -> None:
    """Raise TooManyBad where the share of bad photos is over `limit`; photos that another split has are not bad."""
    bad = quarantine[~quarantine["rule"].isin(OVERLAPS)]
    if len(bad) > limit * n_photos:
        head = f"{len(bad):,} of {n_photos:,} photos cannot be used ({len(bad) / n_photos:.1%})"
        raise TooManyBad(f"{head}, {_over('ingest.max_bad_images', limit, bad)}")


def _over(key: str, limit: float, bad: pd.DataFrame) -> str:
    """What the limit is, the first offenders per rule, and what to do."""
    lines = []
    for rule, offenders in bad.groupby("rule", sort=False):
        shown = "; ".join(_place(offender) for _, offender in offenders.head(_SHOWN).iterrows())
        lines.append(f"\n  {rule} ({len(offenders):,}): {shown}{'; ...' if len(offenders) > _SHOWN else ''}")
    first = f"{key} allows {limit:.1%}. First of each rule:{''.join(lines)}"
    return f"{first}\nMend them, or raise {key} in params.yaml"


def _place(offender: "pd.Series") -> str:
    if offender["kind"] == "image":
        return str(offender["file"])
    return f"{offender['file']} row {offender['row']}, {offender['column']} {str(offender['value'])[:60]!r}"
