"""Where the runs of a report come from: settings, versions, revision, machine, and whether all runs agree on them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..experiments.store import Origin


def settings(origins: Sequence[Origin]) -> dict[str, str]:
    """Return what the runs were asked for, by name.

    :param origins: of all runs.
    """
    asked = {run_name(o): {k: v for k, v in o.asked.items() if k != "options"} for o in origins}
    shown = {
        "strategies": ", ".join(dict.fromkeys(o.strategy for o in origins)),
        "orders": ", ".join(sorted({o.order for o in origins})),
        "seeds": ", ".join(map(str, sorted({o.seed for o in origins}))),
        **_agreed(asked),
    }
    options = {o.strategy: o.asked["options"] for o in origins if o.asked.get("options")}
    return shown | {f"options of {name}": _plain(chosen) for name, chosen in options.items()}


def provenance(origins: Sequence[Origin]) -> dict[str, str]:
    """Return versions, revision and machine, by name.

    :param origins: of all runs.
    """
    return _agreed({run_name(o): _flat(o.provenance) for o in origins})


def run_name(run: Any) -> str:
    """Name a run for people.

    :param run: anything with a strategy, an order and a seed.
    """
    return f"{run.strategy}, order {run.order}, seed {run.seed}"


def _agreed(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """One line a name; where runs differ, each value with the runs that have it."""
    lines = {}
    for name in dict.fromkeys(name for values in runs.values() for name in values):
        having: dict[str, list[str]] = {}
        for run, values in runs.items():
            having.setdefault(_plain(values.get(name)), []).append(run)
        lines[name] = next(iter(having)) if len(having) == 1 else _differing(having)
    return lines


def _differing(having: Mapping[str, Sequence[str]]) -> str:
    def who(runs: Sequence[str]) -> str:
        return "; ".join(runs) if len(runs) <= 3 else f"{runs[0]} and {len(runs) - 1} others"

    return "differs: " + "; ".join(f"{value} ({who(runs)})" for value, runs in having.items())


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= dict(value) if isinstance(value, dict) else {name: value}
    return flat


def _plain(value: Any) -> str:
    if value is None or value == []:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
