"""The `ablate` stage compares the relevance model with variants in which one component is removed or replaced."""

from collections.abc import Mapping

import pandas as pd

from kadr.cli.stage import Metrics, run_stage
from kadr.metrics.evaluation import Estimates, as_json, differences
from kadr.model.ablation import AblationStudy
from kadr.model.ablation_variants import select_variants
from kadr.model.training_settings import TrainingSettings
from kadr.operations.tracking import recording
from kadr.params import Params
from kadr.project import PROJECT


def ablate(params: Params) -> Metrics:
    """Train the variants in `ablate.rows`, and compare each variant with the full model on the same pairs.

    Returns:
        The content of metrics/ablate.json.
    """
    settings = TrainingSettings.from_params(params)
    variants = select_variants(settings, params.ablate.rows)
    diagonal = params.ablate.cells == "diagonal"
    study = AblationStudy.read(settings, params.evaluate, params.seed, diagonal=diagonal)
    model = study.estimate(study.read_scores("model"))
    rows = study.run(variants)
    table = ablation_table(rows, model)
    recording.record_table(params.train.experiment, PROJECT.relevance_model, "ablation", table)
    return {
        "n_pairs": int(study.tested.sum()),
        "n_cells": len(study.cells),
        "model": as_json(model),
        "rows": {
            group: {
                name: as_json(estimates) | {"difference": as_json(differences(estimates, model))}
                for name, estimates in variants_of_group.items()
            }
            for group, variants_of_group in rows.items()
        },
    }


def ablation_table(rows: Mapping[str, Mapping[str, Estimates]], model: Estimates) -> pd.DataFrame:
    """Return a table with one row per variant and metric, for MLflow.

    Args:
        rows: metrics of each variant, by group and variant name.
        model: metrics of the full model.

    Returns:
        The columns group, variant and metric, the columns value, low and high of the variant, and the columns
        difference, difference_low and difference_high, which compare the variant with the full model.
    """
    return pd.DataFrame(
        [
            {"group": group, "variant": variant, "metric": metric}
            | {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            | {"difference": change.value, "difference_low": change.low, "difference_high": change.high}
            for group, variants in rows.items()
            for variant, estimates in variants.items()
            for metric, change in differences(estimates, model).items()
            if (estimate := estimates[metric])
        ]
    ).round(6)


if __name__ == "__main__":
    run_stage("ablate", ablate)
