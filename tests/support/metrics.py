"""Metrics as Prometheus reads them."""

import urllib.request
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from deployments import metrics

Values = dict[tuple[str, tuple[str, ...]], float]


def parsed(text: str) -> Values:
    """(name without its prefix, values of the labels in the order of their names) -> value."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (
                sample.name.removeprefix(metrics.PREFIX),
                tuple(value for _, value in sorted(sample.labels.items())),
            )
            assert key not in found, f"{key} twice: Prometheus would refuse all metrics"
            found[key] = sample.value
    return found


def answer_of(port: int) -> Callable[[], str | None]:
    def ask() -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    return ask
