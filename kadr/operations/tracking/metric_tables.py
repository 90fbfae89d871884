"""Convert the nested metrics of a stage to the flat metrics and tables that MLflow displays."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = ("low", "high")


def find_estimates(metrics: Mapping[str, Any], *groups: str) -> Iterator[tuple[tuple[str, ...], Mapping[str, float]]]:
    """Yield the keys and the value of each estimate `{value, low, high}` in nested metrics.

    >>> estimate = {"value": 1.0, "low": 0.5, "high": 1.5}
    >>> list(find_estimates({"ceiling": {"tau_c": estimate, "tau_b": None}}))
    [(('ceiling', 'tau_c'), {'value': 1.0, 'low': 0.5, 'high': 1.5})]
    """
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            if "value" in value:
                yield (*groups, name), value
            else:
                yield from find_estimates(value, *groups, name)


def metric_values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the value of each estimate, and the interval of each estimate that is not in a group.

    The keys of a group are joined by slashes, because MLflow displays the metrics by the part before the last slash.

    >>> estimate = {"value": 1.0, "low": 0.5, "high": 1.5}
    >>> metric_values({"tau_c": estimate, "baselines": {"cosine": {"tau_c": estimate}}})
    {'tau_c': 1.0, 'tau_c.low': 0.5, 'tau_c.high': 1.5, 'baselines/cosine/tau_c': 1.0}
    """
    values = {}
    for keys, estimate in find_estimates(metrics):
        name = "/".join(keys)
        values[name] = estimate["value"]
        if len(keys) == 1:
            values |= {f"{name}.{end}": estimate[end] for end in INTERVAL}
    return values


def estimate_table(metrics: Mapping[str, Any]) -> "pd.DataFrame":
    """Return a table with one row per estimate and the columns group, metric, value, low and high.

    The group of the model's own estimates is `model`.
    """
    import pandas as pd

    rows = [
        {"group": "/".join(keys[:-1]) or "model", "metric": keys[-1], **estimate}
        for keys, estimate in find_estimates(metrics)
    ]
    return pd.DataFrame(rows, columns=["group", "metric", "value", *INTERVAL])
