"""Where the runs of a report come from: settings, versions, revision, machine, and whether all runs agree on them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..experiments.result import Result
from ..experiments.store import Origin

BENCHMARKS = {
    "standard_cl": "Standard CL",
    "long_sequence": "Long sequence",
    "superni": "SuperNI",
    "trace": "TRACE",
    "mmlu_pro": "MMLU-Pro",
}
"""As they are written in running text; others by their own name."""
PUBLIC = {"sample": "the shipped sample", "hub": "data from the hub"}


def title(origins: Sequence[Origin]) -> str:
    """Name a comparison by what it was run on: benchmark or data, orders, model."""
    benchmark = BENCHMARKS.get(name := _shared(origins, "benchmark"), name)
    data, model = (PurePath(_shared(origins, name)).name for name in ("data", "model"))
    orders = sorted({origin.order for origin in origins})
    listed = [order.split(",") for order in orders if "," in order]
    if listed and data not in PUBLIC:  # somebody's own tasks: the benchmark says nothing about them
        subject = data
    else:
        subject = f"{benchmark} ({PUBLIC.get(data, data)})" if data and data != benchmark else benchmark
    named = _several("order", [order for order in orders if "," not in order])
    tasks = [f"{', '.join(names[:4])}{f' and {len(names) - 4} more' if names[4:] else ''}" for names in listed[:1]]
    more = [f"{len(listed) - 1} more of such orders"] if listed[1:] else []
    where = ", ".join(filter(None, [named, *tasks, *more]))
    return " · ".join(filter(None, [subject, where, model]))


def about(origins: Sequence[Origin], results: Sequence[Result]) -> str:
    """Return how much was run, in a line."""
    seeds = sorted({str(origin.seed) for origin in origins}, key=int)
    strategies = len({result.strategy for result in results})
    return (f"{strategies} {'strategy' if strategies == 1 else 'strategies'}, {_several('seed', seeds)}; "
            f"{len(results)} finished {'run' if len(results) == 1 else 'runs'}; "
            f"{_shared(origins, 'stream') or 'test'} data")  # fmt: skip


def _shared(origins: Sequence[Origin], name: str) -> str:
    """A setting that all runs share, or "" where they differ or lack it."""
    values = {str(origin.asked.get(name) or "") for origin in origins}
    return values.pop() if len(values) == 1 else ""


def _several(noun: str, values: Sequence[str]) -> str:
    return f"{noun}{'s' if len(values) > 1 else ''} {', '.join(values)}" if values else ""


def settings(origins: Sequence[Origin]) -> dict[str, str]:
    """Return what the runs were asked for, by name."""
    asked = {str(o.key): {k: v for k, v in o.asked.items() if k != "options"} for o in origins}
    shown = {
        "strategies": ", ".join(dict.fromkeys(o.strategy for o in origins)),
        "orders": ", ".join(sorted({o.order for o in origins})),
        "seeds": ", ".join(map(str, sorted({o.seed for o in origins}))),
        **_agreed(asked),
    }
    options = {o.strategy: o.asked["options"] for o in origins if o.asked.get("options")}
    return shown | {f"options of {name}": _plain(chosen) for name, chosen in options.items()}


def provenance(origins: Sequence[Origin]) -> dict[str, str]:
    """Return versions, revision and machine, by name."""
    return _agreed({str(o.key): _flat(o.provenance) for o in origins})


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
