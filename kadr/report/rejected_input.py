"""Keep the data docs and the quarantine of input that the `ingest` stage rejects."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from kadr.errors import InputError
from kadr.ingest.rejection import RejectedInputError
from kadr.project import PROJECT, project_folder
from kadr.report.data_docs import DataDocs, render_data_docs, write_pages

_QUARANTINE = "quarantine.csv"


@contextmanager
def keep_rejected_input(source: str) -> Iterator[None]:
    """Write data docs and the quarantine if the code in the `with` block rejects the input.

    The folder reports/rejected_input is not an output of DVC, because DVC deletes the outputs of a failed stage. The
    files replace those of an earlier failure. In a DVC experiment, the folder is that of the project, because DVC
    deletes the folder of the experiment.

    Args:
        source: path of the dataset folder.

    Raises:
        InputError: the input was rejected. The message names the folder.
    """
    try:
        yield
    except RejectedInputError as error:
        docs = DataDocs(
            source=source,
            folder=PROJECT.rejected_input,
            validation=error.validation,
            quarantine=error.quarantine,
            quarantine_file=_QUARANTINE,
            problem=str(error),
            time=datetime.now(UTC).replace(microsecond=0),
        )
        quarantine = error.quarantine.to_pandas(integer_object_nulls=True).to_csv(index=False, lineterminator="\n")
        write_pages(render_data_docs(docs) | {_QUARANTINE: quarantine}, project_folder() / PROJECT.rejected_input)
        advice = f"{PROJECT.rejected_input / 'index.html'} shows all rejected rows and images."
        raise InputError(f"{error}\n{advice}", evidence=[PROJECT.rejected_input]) from error
