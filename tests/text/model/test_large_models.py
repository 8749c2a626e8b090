"""What models of real size need: checkpointing, fp16, models spread over devices or quantised."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from avalanche_aim import AIMMergingPlugin, GradientStep, LanguageModel, text_benchmark
from avalanche_aim.merging import FixedInterval
from avalanche_aim.text.model.loading import stays_put

NAMES = ("tiny", "tiny-t5")


def gradients(model: LanguageModel, x: Tensor) -> list[Tensor]:
    model.zero_grad()
    model.criterion(model.train()(x), x[:, 1]).backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


# Gradient checkpointing


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lora", [True, False], ids=["lora", "all weights"])
def test_checkpointing_gives_the_same_gradients_dropout_included(
    name: str, lora: bool, tasks: Any, rows: Callable[..., Tensor]
) -> None:
    made = []
    for checkpointing in (False, True):
        model = LanguageModel.from_pretrained(name, lora=lora, gradient_checkpointing=checkpointing)
        benchmark = text_benchmark(tasks, model.tokenizer)
        model.adaptation(benchmark.train_stream[0])
        torch.manual_seed(0)
        made.append(gradients(model, rows(benchmark.train_stream[0], 6)))
    torch.testing.assert_close(made[1], made[0])
    assert any(bool(gradient.any()) for gradient in made[0])


@pytest.mark.parametrize("name", NAMES)
def test_checkpointing_computes_the_layers_a_second_time(name: str, tasks: Any, rows: Callable[..., Tensor]) -> None:
    model = LanguageModel.from_pretrained(name, gradient_checkpointing=True)
    benchmark = text_benchmark(tasks, model.tokenizer)
    model.adaptation(benchmark.train_stream[0])
    calls: list[bool] = []
    linear = next(m for m in model.backbone.modules() if isinstance(m, nn.Linear))
    linear.register_forward_hook(lambda *_: calls.append(True))
    x = rows(benchmark.train_stream[0], 2)
    loss = model.criterion(model.train()(x), x[:, 1])
    forward = len(calls)
    loss.backward()
    assert len(calls) == 2 * forward
    with torch.no_grad():
        model.eval()(x)
    assert len(calls) == 3 * forward


@pytest.mark.parametrize("name", NAMES)
def test_checkpointed_models_merge_and_can_be_copied(name: str, tasks: Any, strategy_of: Any) -> None:
    trained = []
    for checkpointing in (False, True):
        model = deepcopy(LanguageModel.from_pretrained(name, gradient_checkpointing=checkpointing))
        benchmark = text_benchmark(tasks, model.tokenizer)
        torch.manual_seed(0)
        plugin = AIMMergingPlugin("paper", memory=4, schedule=FixedInterval(2))
        strategy = strategy_of(model, plugins=[GradientStep(2), plugin])
        for experience in benchmark.train_stream:
            strategy.train(experience)
        assert plugin.history.merges
        trained.append([p.detach() for p in model.parameters()])
    torch.testing.assert_close(trained[1], trained[0], rtol=1e-3, atol=1e-4)


# Half precision


def test_under_fp16_autocast_frozen_weights_are_stored_in_it_and_trained_ones_stay_float32() -> None:
    model = LanguageModel.from_pretrained("tiny", autocast=torch.float16)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    linear = [m for m in model.backbone.modules() if isinstance(m, nn.Linear)]
    assert {m.weight.dtype for m in linear if not m.weight.requires_grad} == {torch.float16}


@pytest.mark.parametrize("name", NAMES)
def test_fp16_gradients_are_those_of_float32_roughly(
    name: str, tasks: Any, rows: Callable[..., Tensor], without_dropout: Any
) -> None:
    made = []
    for dtype in (None, torch.float16):
        model = without_dropout(LanguageModel.from_pretrained(name, autocast=dtype))
        benchmark = text_benchmark(tasks, model.tokenizer)
        model.adaptation(benchmark.train_stream[0])
        x = rows(benchmark.train_stream[0], 4)
        model.criterion(model.train()(x), x[:, 1]).mul(1024).backward()
        made.append(torch.cat([p.grad.flatten() / 1024 for p in model.parameters() if p.grad is not None]))
    assert float((made[1] - made[0]).norm() / made[0].norm()) < 0.02


# Models that stay where they were loaded


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a saved tiny Llama."""
    path = tmp_path_factory.mktemp("model")
    LanguageModel.from_pretrained("tiny", lora=False).save_pretrained(str(path))
    return str(path)


SPREAD = {
    "model.embed_tokens": "cpu",
    "model.rotary_emb": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.norm": "cpu",
    "lm_head": "cpu",
}
ON_CPU = {"layers_to_transform": [0], "lora_dropout": 0.0}


def spread(folder: str, path: Path, **settings: Any) -> LanguageModel:
    return LanguageModel.from_pretrained(folder, **{"lora": ON_CPU, **settings}, device_map=SPREAD, offload_folder=path)


def test_a_model_partly_on_disk_has_the_gradients_of_the_whole(
    folder: str, tmp_path: Path, tasks: Any, rows: Callable[..., Tensor]
) -> None:
    whole, parts = LanguageModel.from_pretrained(folder, lora=ON_CPU), spread(folder, tmp_path)
    benchmark = text_benchmark(tasks, whole.tokenizer)
    x = rows(benchmark.train_stream[0], 4)
    for model in (whole, parts):
        model.adaptation(benchmark.train_stream[0])
    torch.testing.assert_close(gradients(parts, x), gradients(whole, x))
    assert any(p.is_meta for p in parts.backbone.parameters())


def test_a_model_partly_on_disk_trains_and_merges(folder: str, tmp_path: Path, tasks: Any, strategy_of: Any) -> None:
    model = deepcopy(spread(folder, tmp_path, autocast=torch.bfloat16))
    plugin = AIMMergingPlugin("paper", memory=4, schedule=FixedInterval(2))
    strategy = strategy_of(model, plugins=[GradientStep(2), plugin])
    for experience in text_benchmark(tasks, model.tokenizer).train_stream:
        strategy.train(experience)
    assert plugin.history.merges
    assert all(merge.merged for merge in plugin.history.merges)


def test_a_spread_model_is_neither_moved_nor_cast(folder: str, tmp_path: Path) -> None:
    model = spread(folder, tmp_path, autocast=torch.bfloat16)
    before = [(p.device, p.dtype) for p in model.backbone.parameters()]
    model.to("meta")
    assert [(p.device, p.dtype) for p in model.backbone.parameters()] == before
    assert {dtype for _, dtype in before} == {torch.float32}


def test_a_model_on_one_device_can_be_moved(folder: str) -> None:
    model = LanguageModel.from_pretrained(folder, device_map={"": "cpu"})
    assert not stays_put(model.language_model)
    model.to("meta")
    assert all(p.is_meta for p in model.backbone.parameters())


def test_a_quantised_model_is_neither_moved_nor_cast() -> None:
    model = LanguageModel.from_pretrained("tiny")
    model.language_model.is_quantized = True  # as Transformers marks it
    assert stays_put(model.language_model)
    model.to("meta")
    assert not any(p.is_meta for p in model.backbone.parameters())
    assert not any(p.is_meta for p in model.parameters())


def test_trainable_weights_of_offloaded_layers_are_refused(folder: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"layers that device_map offloads; give LoRA only the others"):
        spread(folder, tmp_path, lora=True)


# With bitsandbytes, where it is installed

QUANTISED = {
    "4 bits": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32},
    "8 bits": {"load_in_8bit": True},
}


@pytest.mark.parametrize("bits", QUANTISED)
def test_a_model_in_few_bits_has_roughly_the_gradients_of_the_whole(
    folder: str, bits: str, tasks: Any, rows: Callable[..., Tensor]
) -> None:
    pytest.importorskip("bitsandbytes")
    from transformers import BitsAndBytesConfig

    settings: dict[str, Any] = {"lora": {"lora_dropout": 0.0}, "device_map": {"": "cpu"}}
    whole = LanguageModel.from_pretrained(folder, **settings)
    few = LanguageModel.from_pretrained(folder, **settings, quantization_config=BitsAndBytesConfig(**QUANTISED[bits]))
    benchmark = text_benchmark(tasks, whole.tokenizer)
    for model in (whole, few):
        model.adaptation(benchmark.train_stream[0])
    x = rows(benchmark.train_stream[0], 4)
    one, other = (torch.cat([g.flatten() for g in gradients(model, x)]) for model in (whole, deepcopy(few)))
    assert float((one - other).norm() / one.norm()) < 0.2
    assert few.to("meta") is few
    assert not any(p.is_meta for p in few.backbone.parameters())


@pytest.mark.parametrize("state", ["own", "fresh", "shared"])
def test_an_optimizer_of_8_bits_trains_and_merges(state: Any, tasks: Any, strategy_of: Any) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    model = LanguageModel.from_pretrained("tiny", lora=False)
    plugin = AIMMergingPlugin("paper", memory=4, rehearsal={"optimizer": state})
    optimizer = bitsandbytes.optim.AdamW8bit(model.parameters(), lr=1e-3, min_8bit_size=256)
    strategy = strategy_of(model, plugins=[GradientStep(2), plugin], train_epochs=8)
    strategy.optimizer = optimizer
    for experience in text_benchmark(tasks, model.tokenizer).train_stream:
        strategy.train(experience)
    assert any(
        value.dtype == torch.uint8 for of in optimizer.state.values() for value in of.values() if torch.is_tensor(value)
    )
    assert plugin.history.merges
    assert all(merge.merged for merge in plugin.history.merges)
    losses = [record.training_loss for record in plugin.history.iterations]
    assert losses[-1] < losses[len(losses) // 2]
