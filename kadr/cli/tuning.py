"""The command `kadr tune`."""

from typing import Annotated

import typer

from kadr.cli.console import console


def tune(
    trials: Annotated[
        int,
        typer.Option(min=1, help="Number of trials for each outer cell, including trials that earlier runs finished."),
    ],
) -> None:
    """Search for better LightGBM settings with nested cross-validation.

    The search compares settings in inner folds. The best settings are then evaluated on outer test pairs, which the
    search does not use.
    """
    from kadr.model.training_settings import TrainingSettings
    from kadr.operations.tuning.nested_search import tune
    from kadr.operations.tuning.search_runs import record_tuning
    from kadr.operations.tuning.search_summary import cell_table, describe_result
    from kadr.operations.tuning.tuning_problem import TuningProblem
    from kadr.params import load_params

    params = load_params()
    problem = TuningProblem.read(TrainingSettings.from_params(params), params.evaluate, params.seed)
    result, studies = tune(problem, trials)
    record_tuning(params.train.experiment, problem.key, problem.reference.metric, result, studies)
    output = console()
    output.print(cell_table(problem, studies))
    output.print(describe_result(problem, result), highlight=False, soft_wrap=True)
