"""The `ablate` stage compares the relevance model with variants in which one component is removed or replaced."""

from collections.abc import Mapping

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
    recording.record_children(params.train.experiment, PROJECT.relevance_model, child_metrics(rows))
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


def child_metrics(rows: Mapping[str, Mapping[str, Estimates]]) -> dict[str, dict[str, float]]:
    """Return the metrics of each variant.

    Args:
        rows: metrics of each variant, by group and variant name.

    Returns:
        Metrics of each variant, by the name of its MLflow child run.
    """
    return {
        f"ablation {group}: {name}": {metric: interval.value for metric, interval in estimates.items() if interval}
        for group, variants in rows.items()
        for name, estimates in variants.items()
    }


if __name__ == "__main__":
    run_stage("ablate", ablate)
