"""Check on an accelerator, in a few minutes, what tests hold on a CPU; one JSON line for each check.

python -m benchmarks.gpu_check --out gpu_check.jsonl              # SmolLM2-135M, and a random model of 1B
python -m benchmarks.gpu_check --model tiny --large tiny --out x  # on a CPU: does it all work?

A check that fails is one more line, and does not stop the others. "ok" is null where something that it needs is not
there. Times are of one task after a first one that warmed up; peak memory is the accelerator's, of that task.
"""

import argparse
import contextlib
import importlib.util
import json
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from avalanche_aim import LanguageModel
from avalanche_aim.text.model.sources import DEFAULT_MODEL
from benchmarks.gpu_work import Work, compare, large_model

Outcome = dict[str, Any]
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}


def main(argv: list[str] | None = None) -> int:
    """Make the checks; returns 0 if none failed."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--model", default=DEFAULT_MODEL, help='a model folder or id, or "tiny"')
    p.add_argument("--large", default="1B", help='"1B" for a random model of that size, or "tiny"')
    p.add_argument("--checks", nargs="+", metavar="NAME", help="only those whose names begin so")
    p.add_argument("--minutes", type=float, default=4.5, help="begin no check after so many (default: 4.5)")
    p.add_argument("--iterations", type=int, default=16, help="of a task (default: 16)")
    p.add_argument("--out", type=Path, required=True, help="file of the lines")
    arguments = p.parse_args(argv)
    warnings.simplefilter("ignore")
    work = Work(arguments.model, arguments.iterations)
    checks = all_checks(work, arguments.large)
    wanted = {name: check for name, check in checks.items()
              if not arguments.checks or name.startswith(tuple(arguments.checks))}  # fmt: skip
    if not wanted:
        p.error(f"expected checks of {', '.join(checks)}; got {', '.join(arguments.checks)}")
    end = time.monotonic() + 60 * arguments.minutes
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    failed = False
    with arguments.out.open("w", encoding="utf-8") as file:
        for name, check in wanted.items():
            outcome = attempt(check) if time.monotonic() < end else {"ok": None, "why": "no time left"}
            failed = failed or outcome["ok"] is False
            line = json.dumps({"check": name, **outcome})
            print(line, file=file, flush=True)
            print(line, flush=True)
    return int(failed)


def attempt(check: Callable[[], Outcome]) -> Outcome:
    """Make a check; what it raises is its outcome.

    :param check: returns "ok" and what else there is to say.
    """
    began = time.perf_counter()
    try:
        outcome = check()
    except Exception as error:  # of every kind: whatever the device brings up
        said = " ".join(f"{type(error).__name__}: {error}".split())
        outcome = {"ok": False, "why": said[:500], "where": traceback.format_exc()[-800:]}
    return {**outcome, "took": round(time.perf_counter() - began, 2)}


def all_checks(work: Work, large: str) -> dict[str, Callable[[], Outcome]]:
    """Return all checks by name.

    :param work: makes models, streams and strategies.
    :param large: the large model.
    """
    checks: dict[str, Callable[[], Outcome]] = {"devices agree": lambda: devices_agree(work)}
    for name, dtype in PRECISIONS.items():
        checks[f"precision {name}"] = lambda dtype=dtype: trained(work, autocast=dtype)
    checks["resume"] = lambda: resumed(work)
    for state in ("shared", "fresh", "own"):
        checks[f"memory optimizer {state}"] = lambda state=state: memory_optimizer(work, state)
    for kernel in ("eager", "sdpa", "flash_attention_2"):
        checks[f"scores {kernel}"] = lambda kernel=kernel: scored(work, kernel)
    checks["gradient checkpointing"] = lambda: same_as_plain(work, 1e-3, gradient_checkpointing=True)
    checks["compile"] = lambda: same_as_plain(work, 2e-2, compile=True)
    checks["backbone in 4 bits"] = lambda: four_bits(work)
    for strategy in ("naive", "replay", "aim"):
        checks[f"cost {strategy}"] = lambda strategy=strategy: cost(work, work.load(), strategy)
    for strategy in ("naive", "aim"):
        checks[f"cost {strategy} compiled"] = lambda strategy=strategy: cost(work, work.load(compile=True), strategy)
    for strategy in ("naive", "replay", "aim"):
        checks[f"cost {large} {strategy}"] = lambda strategy=strategy: cost(
            work, large_model(large, work.tokenizer, work.device), strategy
        )
    return checks


def devices_agree(work: Work) -> Outcome:
    """AIM merges a tiny model on the accelerator as on the CPU; no dropout, which each draws in its own way."""
    models = [LanguageModel.from_pretrained("tiny", lora={"lora_dropout": 0.0}) for _ in range(2)]
    runs = [work.train(model, "aim", device=device) for model, device in zip(models, ("cpu", work.device), strict=True)]
    merges = [[(m.experience, m.iteration, m.reason) for m in run.history.merges] for run in runs]
    apart = compare(*(run.weights for run in runs))
    same = bool(merges[0]) and merges[0] == merges[1]
    return {"ok": same and apart < 1e-2, "merges": len(merges[0]), "same merges": same, "apart": apart}


def trained(work: Work, **settings: Any) -> Outcome:
    """AIM trains and merges: weights stay finite, and the loss falls."""
    run = work.train(work.load(**settings), "aim")
    finite = all(bool(weight.isfinite().all()) for weight in run.weights)
    ok = finite and run.losses[-1] < run.losses[0] and bool(run.history.merges)
    return {"ok": ok, "loss": [run.losses[0], run.losses[-1]], "merges": len(run.history.merges), **run.cost}


def resumed(work: Work) -> Outcome:
    """A run that was interrupted in its second task ends as one that was not."""
    model = work.load()
    whole, broken = work.train(model, "aim"), work.train(model, "aim", interrupted=True)
    apart = compare(whole.weights, broken.weights)
    return {"ok": apart < 1e-3, "apart": apart, "bit for bit": apart == 0}


def memory_optimizer(work: Work, state: str) -> Outcome:
    """The fine-tuning's optimizer state lies beside the weights."""
    run = work.train(work.load(), "aim", rehearsal={"optimizer": state})
    kept = run.memory_state
    there = {str(t.device.type) for moments in kept for n, t in moments.items() if n != "step"}
    ok = bool(kept) is (state == "own") and there <= {torch.device(work.device).type}
    return {"ok": ok, "merges": len(run.history.merges), "kept": len(kept)}


def scored(work: Work, kernel: str) -> Outcome:
    """All labels in one pass score as labels one by one, with each attention kernel; what bf16 adds is told beside."""
    if kernel.startswith("flash"):
        if importlib.util.find_spec("flash_attn") is None or work.device == "cpu":
            return {"ok": None, "why": "no flash_attn here"}
        apart, way = work.scores_apart(work.load(attn_implementation=kernel, dtype=torch.bfloat16))
        return {"ok": apart < 0.05, "apart in bf16": apart, "way": way}
    apart, way = work.scores_apart(work.load(attn_implementation=kernel, autocast=None))
    rounded, _ = work.scores_apart(work.load(attn_implementation=kernel))
    return {"ok": apart < 1e-3, "apart": apart, "apart in bf16": rounded, "way": way}


def same_as_plain(work: Work, tolerance: float, **settings: Any) -> Outcome:
    """A setting that only saves time or memory leaves loss and gradients as they are, dropout included."""
    plain, other = (work.gradients(work.load(**chosen)) for chosen in ({}, settings))
    apart = {"loss": abs(plain[0] - other[0]), "gradients": compare(plain[1], other[1])}
    return {"ok": max(apart.values()) < tolerance, "apart": apart}


def four_bits(work: Work) -> Outcome:
    """AIM trains LoRA on a backbone in four bits."""
    if importlib.util.find_spec("bitsandbytes") is None or work.is_tiny:
        return {"ok": None, "why": "no bitsandbytes here"}
    from transformers import BitsAndBytesConfig

    quantised = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)
    return trained(work, quantization_config=quantised, device_map={"": work.device})


def cost(work: Work, model: LanguageModel, strategy: str) -> Outcome:
    """Seconds and memory of a strategy."""
    with contextlib.ExitStack() as stack:
        stack.callback(model.cpu)
        run = work.train(model, strategy)
    return {"ok": True, **run.cost}


if __name__ == "__main__":
    raise SystemExit(main())
