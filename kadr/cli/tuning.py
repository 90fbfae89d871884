"""The command `kadr tune`."""

from typing import Annotated

import typer

from kadr.cli.console import console, share_cores


def tune(
    trials: Annotated[
        int, typer.Option(min=1, help="Number of finished trials in each outer cell, earlier trials included.")
    ],
) -> None:
    """Search for better LightGBM settings in inner folds, and evaluate them on unseen outer folds."""
    from kadr.operations.tuning import nested_search
    from kadr.operations.tuning.search_runs import record_tuning
    from kadr.params import load_params

    share_cores()
    problem = nested_search.Problem.read(load_params())
    tuned, studies = nested_search.tune(problem, trials)
    record_tuning(problem.params, problem.key, problem.people.figure, tuned, studies)
    output = console()
    output.print(nested_search.cell_table(problem, studies))
    output.print(nested_search.verdict(problem, tuned), highlight=False, soft_wrap=True)
