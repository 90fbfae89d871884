"""The ingest part's forms: every layout of a raw folder that can be read. A new one is a file and an entry here."""

import logging
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.formats import flickr8k, long, single_file
from kadr.ingest.raw_input import Form, RawInput

logger = logging.getLogger(__name__)

FORMS: dict[str, Form] = {"single_file": single_file.FORM, "flickr8k": flickr8k.FORM, "long": long.FORM}


def choose_form(source: Path, form: str) -> str:
    """The name of the form that `source` has: `form` itself, or the one that recognises the folder where it is `auto`.

    Raises:
        InputError: where the folder is missing, or not exactly one form recognises it.
    """
    if not source.is_dir():
        raise InputError(
            f"ingest.source: {source} is not a folder; put the photos and ratings there, or name their folder "
            f"in params.yaml (`kadr sample {source}` draws sample data)"
        )
    if form != "auto":
        return form
    found = [name for name, candidate in FORMS.items() if candidate.recognises(source)]
    if len(found) != 1:
        wanted = "".join(f"\n  {name}: {candidate.wants}" for name, candidate in FORMS.items())
        held = ", ".join(sorted(path.name for path in source.iterdir())[:12]) or "nothing"
        like = f"like {' and '.join(found)} at once" if found else "like no known form"
        raise InputError(
            f"ingest.source: {source} looks {like}; it holds {held}. Known forms:{wanted}\n"
            "Complete the folder, or name its form in ingest.form"
        )
    logger.info("%s has the form %s", source, found[0])
    return found[0]


def read_form(source: Path, form: str) -> RawInput:
    """What the folder holds by its form, and the single ratings that stand beside it. Raises InputError."""
    raw = FORMS[form].read(source)
    path = long.find_long_file(source)
    return long.add_long_ratings(raw, path) if form != "long" and path.exists() else raw
