"""Language models whose layers are compiled. Here without code generation (aot_eager), which takes a minute."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.text import TextTask
from avalanche_aim.text.model import compiling


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace layers, and run what was traced as it stands."""
    monkeypatch.setattr(compiling, "HOW", {"dynamic": True, "backend": "aot_eager"})
    monkeypatch.setattr(compiling, "compiler_problem", lambda device: None)


def compiled_layers(model: LanguageModel) -> list[bool]:
    return [layer._compiled_call_impl is not None for layer in compiling.layers_of(model.language_model)]


def in_training(model: LanguageModel, x: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    torch.manual_seed(0)
    loss = model.criterion(model.train()(x), x[:, 1])
    loss.backward()
    gradients = [weight.grad for weight in model.parameters()]
    model.zero_grad(set_to_none=True)
    return loss.detach(), gradients


@pytest.mark.slow
def test_it_scores_and_trains_as_without_also_copies_and_other_lengths(
    quick: None, tasks: list[TextTask], mixed_batch: Callable[..., Any]
) -> None:
    plain, compiled = (LanguageModel.from_pretrained("tiny", compile=chosen) for chosen in (False, True))
    benchmark = text_benchmark(tasks, plain.tokenizer)
    x, _ = mixed_batch(benchmark)
    for model in (plain, compiled):
        model.adaptation(benchmark.train_stream[0])
    for rows in (x, x[:3]):
        expected, got = (in_training(model, rows) for model in (plain, compiled))
        torch.testing.assert_close(got, expected)
    copy = deepcopy(compiled)
    torch.testing.assert_close(in_training(copy, x), in_training(plain, x))
    assert compiled_layers(compiled) == compiled_layers(copy) == [True, True]
    with torch.no_grad():
        torch.testing.assert_close(compiled.eval()(x), plain.eval()(x), rtol=1e-5, atol=1e-5)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    assert compiled.generate("Is it?", 3) == plain.generate("Is it?", 3)


def test_a_compiler_that_does_not_work_is_said_and_the_model_runs(
    tasks: list[TextTask], mixed_batch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no compiler found")

    compiling.compiler_problem.cache_clear()
    monkeypatch.setattr(torch, "compile", broken)
    model = LanguageModel.from_pretrained("tiny", compile=True)
    benchmark = text_benchmark(tasks, model.tokenizer)
    model.adaptation(benchmark.train_stream[0])
    x, _ = mixed_batch(benchmark)
    with pytest.warns(UserWarning, match="the model runs uncompiled: RuntimeError: no compiler found"):
        loss, _ = in_training(model, x)
    compiling.compiler_problem.cache_clear()
    assert bool(loss.isfinite())
    assert compiled_layers(model) == [False, False]


def test_a_model_without_layers_that_transformers_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="compile: expected a model with layers that Transformers knows, got Linear"):
        compiling.layers_of(torch.nn.Linear(2, 2))
