"""A Hugging Face language model in the form that Avalanche's strategies can hold."""

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.training import LwF
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.isolation import gold_scores
from avalanche_aim.text import TextExample, TextTask, sources
from avalanche_aim.text.loading import store_frozen

Adapted = tuple[LanguageModel, Any]
NAMES = ("tiny", "tiny-t5")


def frozen(model: LanguageModel) -> list[Tensor]:
    return [weight for weight in model.backbone.parameters() if not weight.requires_grad]


def same(one: LanguageModel, other: LanguageModel) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


# What is scored


def test_in_training_only_the_gold_answer_is_scored(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    gold = nn.functional.one_hot(x[:, 1], 7).bool()  # 4 moods, 2 more topics, 1 for open answers
    out = model.train()(x)
    assert out[gold].isfinite().all()
    assert out[~gold].isnan().all()


def test_in_training_all_labels_are_scored_where_asked_for(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    model.score_all_labels = True
    out = model.train()(mixed_batch(benchmark)[0])
    assert out.shape == (9, 7)
    assert out.isfinite().all()


def test_in_evaluation_other_tasks_labels_are_minus_infinity(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, picks = mixed_batch(benchmark)
    assert model.answers is not None
    out = model.eval()(x)
    for row, (task, _) in enumerate(picks):
        own = [model.answers.texts.index(label) for label in task.labels or ()] or [6]
        others = [column for column in range(7) if column not in own]
        assert out[row, own].isfinite().all()
        assert (out[row, others] == float("-inf")).all()


def test_the_training_pass_says_nothing_about_exact_matches(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    model.train()(mixed_batch(benchmark)[0])
    assert model.exact_match is None
    model.eval()(mixed_batch(benchmark)[0])
    assert model.exact_match is not None
    assert model.exact_match.shape == (9,)


# Criteria that read what was not scored


def test_the_loss_of_the_gold_answer_may_flow_back(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    model.criterion(model.train()(x), x[:, 1]).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize(
    "criterion",
    [
        nn.CrossEntropyLoss(),
        lambda out, y: out.nan_to_num(0.0).sum() + out[:, 0].sum(),
        lambda out, y: nn.functional.mse_loss(out, torch.zeros_like(out)),
    ],
    ids=["cross entropy", "one other column", "squared distance"],
)
def test_a_criterion_that_reads_other_labels_is_told_what_to_do(
    adapted: Adapted, mixed_batch: Callable[..., Any], criterion: Callable[..., Tensor]
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    with pytest.raises(ValueError, match=r"read the scores of labels other than the gold one.*score_all_labels=True"):
        criterion(model.train()(x), x[:, 1]).backward()


def test_every_pass_of_an_iteration_is_watched_not_the_first_alone(
    adapted: Adapted, mixed_batch: Callable[..., Any]
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    first, replayed = model.train()(x), model(x)  # as ER-ACE passes the batch, then its buffer
    with pytest.raises(ValueError, match="score_all_labels=True"):
        (model.criterion(first, x[:, 1]) + nn.functional.cross_entropy(replayed, x[:, 1])).backward()


def test_a_plugin_that_reads_other_labels_later_in_the_stream_is_told_as_well(
    llama: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    benchmark = text_benchmark(closed_tasks, llama.tokenizer)
    strategy = strategy_of(llama, template=LwF, alpha=1.0, temperature=2.0)
    strategy.train(benchmark.train_stream[0])
    with pytest.raises(ValueError, match="score_all_labels=True"):
        strategy.train(benchmark.train_stream[1])


def test_gold_scores_in_eval_mode_are_those_of_all_labels_and_the_others_are_left_out(
    adapted: Adapted, mixed_batch: Callable[..., Any]
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    everything = model.eval()(x)
    with gold_scores(model):
        gold = model(x)
    own = nn.functional.one_hot(x[:, 1], gold.shape[1]).bool()
    torch.testing.assert_close(gold[own], everything[own])
    assert gold[~own].isnan().all()
    assert torch.equal(model(x), everything)


# What Avalanche sees of the model


def test_parameters_and_state_are_the_lora_weights_alone(model: LanguageModel) -> None:
    names = [name for name, _ in model.named_parameters()]
    assert len(names) == len(model.state_dict()) > 0
    assert all("lora_" in name for name in names)
    assert all(weight.requires_grad for weight in model.parameters())


def test_gradients_reach_the_lora_weights_alone(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    model.criterion(model(x), x[:, 1]).backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())
    assert all(weight.grad is None for weight in frozen(model))


def test_without_lora_all_weights_train(tasks: list[TextTask]) -> None:
    for name in NAMES:
        model = LanguageModel.from_pretrained(name, lora=False)
        assert frozen(model) == []
        assert sum(w.numel() for w in model.parameters()) == sum(w.numel() for w in model.backbone.parameters())


def test_a_saved_state_can_be_loaded_into_another_copy(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    other = copy.deepcopy(model).eval()
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    x, _ = mixed_batch(benchmark)
    assert not torch.equal(other(x), model.eval()(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_reaches_the_backbone(model: LanguageModel, training: bool) -> None:
    model.train(not training)
    model.train(training)
    assert {module.training for module in model.backbone.modules()} == {training}


def test_eval_switches_dropout_off(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    assert torch.equal(model.eval()(x), model(x))
    assert not torch.equal(model.train()(x).nan_to_num(0.0), model(x).nan_to_num(0.0))


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_dtype_reaches_the_backbone(name: str) -> None:
    model = LanguageModel.from_pretrained(name).to(torch.float64)
    assert {weight.dtype for weight in (*model.parameters(), *frozen(model))} == {torch.float64}
    assert model.state_dict().keys() == LanguageModel.from_pretrained(name).state_dict().keys()


def test_an_optimizer_made_before_a_change_of_dtype_still_trains_the_model(llama: LanguageModel) -> None:
    optimizer = torch.optim.SGD(llama.parameters(), lr=1.0)
    llama.to(torch.float32)
    held = {id(weight) for weight in optimizer.param_groups[0]["params"]}
    assert held == {id(weight) for weight in llama.backbone.parameters() if weight.requires_grad}


# Copies


def test_a_copy_shares_the_frozen_weights_and_none_of_the_others(model: LanguageModel) -> None:
    twin = copy.deepcopy(model)
    assert [w.data_ptr() for w in frozen(twin)] == [w.data_ptr() for w in frozen(model)]
    mine, its = ({w.data_ptr() for w in part.parameters()} for part in (model, twin))
    assert mine.isdisjoint(its)


def test_a_copy_scores_as_the_original_until_it_is_trained(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    before = model.eval()(x)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(x), before)
    with torch.no_grad():
        for weight in twin.parameters():
            weight += 0.1
    assert not torch.equal(twin(x), before)
    assert torch.equal(model(x), before)


def test_a_copy_without_lora_shares_no_weight() -> None:
    model = LanguageModel.from_pretrained("tiny", lora=False)
    twin = copy.deepcopy(model)
    mine, its = ({w.data_ptr() for w in part.backbone.parameters()} for part in (model, twin))
    assert mine.isdisjoint(its)
    assert same(model, twin)


# The stream's answers


def test_without_a_stream_the_model_asks_for_one(model: LanguageModel) -> None:
    with pytest.raises(ValueError, match=r"does not know the stream's answers.*adaptation\(experience\)"):
        model(torch.zeros(1, 9, dtype=torch.long))


def test_an_experience_of_another_kind_of_benchmark_is_refused(llama: LanguageModel) -> None:
    data = TensorDataset(torch.zeros(4, 2), torch.arange(4))
    data.targets = [0, 1, 2, 3]
    images = class_incremental_benchmark({"train": as_classification_dataset(data)}, num_experiences=2)
    with pytest.raises(ValueError, match=r"expected an experience of a text benchmark.*without answers"):
        llama.adaptation(images.train_stream[0])


def test_a_stream_for_another_kind_of_model_is_refused(
    tiny_models: dict[str, LanguageModel], tasks: list[TextTask]
) -> None:
    for name, other, message in ((*NAMES, "seq2seq model, this one is causal"), (*NAMES[::-1], "causal model, this")):
        benchmark = text_benchmark(tasks, tiny_models[other].tokenizer)
        with pytest.raises(ValueError, match=rf"encoded for a {message}.*this model's tokenizer"):
            copy.deepcopy(tiny_models[name]).adaptation(benchmark.train_stream[0])


def test_a_prompt_without_text_is_refused_or_scored_alike_in_any_batch(llama: LanguageModel) -> None:
    examples = (TextExample(" ", ("red",)), TextExample("Name the colour of the sky:", ("blue",)))
    try:
        benchmark = text_benchmark([TextTask("names", examples, (), examples, None)], llama.tokenizer)
    except ValueError as error:
        assert "prompt" in str(error)
        return
    llama.adaptation(benchmark.train_stream[0])
    x = torch.stack([benchmark.test_stream[0].dataset[row][0] for row in range(2)])
    torch.testing.assert_close(llama.eval()(x)[:1], llama(x[:1]))


# Making one


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_lora_weights(name: str) -> None:
    first, again, other = (LanguageModel.from_pretrained(name, seed=seed) for seed in (3, 3, 4))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("name", NAMES)
def test_loading_leaves_the_global_random_streams_alone(name: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    LanguageModel.from_pretrained(name)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]


@pytest.mark.parametrize(("name", "targets"), [("tiny", {"q_proj", "v_proj"}), ("tiny-t5", {"q", "v"})])
def test_lora_is_that_of_the_paper(name: str, targets: set[str]) -> None:
    config = LanguageModel.from_pretrained(name).backbone.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (8, 32, 0.05)
    assert set(config.target_modules) == targets


def test_single_lora_settings_can_be_changed() -> None:
    model = LanguageModel.from_pretrained("tiny", lora={"r": 2, "target_modules": ["k_proj"]})
    assert all("k_proj" in name for name, _ in model.named_parameters())
    assert {min(weight.shape) for weight in model.parameters()} == {2}
    assert model.backbone.peft_config["default"].lora_alpha == 32


def test_a_lora_config_of_peft_is_taken_as_it_is() -> None:
    from peft import LoraConfig

    model = LanguageModel.from_pretrained("tiny", lora=LoraConfig(r=3, target_modules=["o_proj"]))
    assert all("o_proj" in name for name, _ in model.named_parameters())
    assert {min(weight.shape) for weight in model.parameters()} == {3}


def test_lora_settings_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match=r"lora: expected True, False, a dict.*got 8"):
        LanguageModel.from_pretrained("tiny", lora=8)


def test_a_tiny_model_takes_dtype_and_attention() -> None:
    for name in NAMES:
        model = LanguageModel.from_pretrained(name, lora=False, dtype="bfloat16", attn_implementation="eager")
        assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
        assert model.language_model.config._attn_implementation == "eager"
        full = LanguageModel.from_pretrained(name, lora=False)
        pairs = zip(model.parameters(), full.parameters(), strict=True)
        assert all(torch.equal(one, other.bfloat16()) for one, other in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_an_argument_that_a_tiny_model_would_ignore_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=r"expected no arguments but dtype and attn_implementation, got \['revision'\]"):
        LanguageModel.from_pretrained(name, revision="main")


def test_a_missing_model_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-model"):
        LanguageModel.from_pretrained(str(tmp_path / "no-model"))


def test_an_unknown_model_name_is_refused_with_other_ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources.hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sources.hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises((OSError, ValueError), match=r"'nobody/no-model'.*tiny"):
        LanguageModel.from_pretrained("nobody/no-model")


def test_a_sequence_to_sequence_model_that_is_not_like_t5_is_refused(
    tiny_models: dict[str, LanguageModel],
) -> None:
    from transformers import BartConfig, BartForConditionalGeneration

    sizes = {f"{side}_{part}": 2 for side in ("encoder", "decoder") for part in ("layers", "attention_heads")}
    config = BartConfig(vocab_size=800, d_model=16, encoder_ffn_dim=16, decoder_ffn_dim=16, **sizes)
    with pytest.raises(ValueError, match="expected a causal or a T5-like model, got the sequence-to-sequence bart"):
        LanguageModel(BartForConditionalGeneration(config), tiny_models["tiny-t5"].tokenizer)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    model = LanguageModel.from_pretrained(name, lora=False)
    model.save_pretrained(str(tmp_path))
    assert same(LanguageModel.from_pretrained(str(tmp_path), lora=False), model)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_adapter_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    LanguageModel.from_pretrained(name, lora=False).save_pretrained(str(tmp_path / "base"))
    model = LanguageModel.from_pretrained(str(tmp_path / "base"))
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.01
    model.save_pretrained(str(tmp_path / "adapter"))
    assert same(LanguageModel.from_pretrained(str(tmp_path / "adapter")), model)


@pytest.mark.parametrize("lora", [{"r": 2}, False, None])
def test_lora_settings_for_a_saved_adapter_are_refused_with_its_base_model(lora: Any, tmp_path: Path) -> None:
    LanguageModel.from_pretrained("tiny", lora=False).save_pretrained(str(tmp_path / "base"))
    LanguageModel.from_pretrained(str(tmp_path / "base")).save_pretrained(str(tmp_path / "adapter"))
    with pytest.raises(ValueError, match=r"adapter, which comes with its own settings.*base'.*to start anew"):
        LanguageModel.from_pretrained(str(tmp_path / "adapter"), lora=lora)


# Mixed precision


@pytest.mark.parametrize("training", [True, False])
def test_autocast_scores_are_close_to_full_precision(
    adapted: Adapted, mixed_batch: Callable[..., Any], without_dropout: Callable[..., Any], training: bool
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    full = without_dropout(model.train(training))(x)
    model.autocast = torch.bfloat16
    mixed = model(x)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed.nan_to_num(0.0), full.nan_to_num(0.0))
    torch.testing.assert_close(mixed, full, rtol=0.02, atol=0.1, equal_nan=True)


def test_autocast_leaves_weights_and_gradients_in_full_precision(
    adapted: Adapted, mixed_batch: Callable[..., Any]
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    model.autocast = torch.bfloat16
    model.criterion(model.train()(x), x[:, 1]).backward()
    assert {weight.dtype for weight in model.backbone.parameters()} == {torch.float32}
    assert {weight.grad.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", NAMES)
def test_frozen_layers_stored_in_half_precision_give_the_same_bits(
    name: str, tasks: list[TextTask], mixed_batch: Callable[..., Any]
) -> None:
    model = LanguageModel.from_pretrained(name)  # of its own: copies share the frozen weights that are changed here
    benchmark = text_benchmark(tasks, model.tokenizer)
    model.adaptation(benchmark.train_stream[0])
    x, _ = mixed_batch(benchmark)
    model.autocast = torch.bfloat16
    scores, gradients = [], []
    for _ in range(2):
        torch.manual_seed(0)
        out = model.train()(x)
        model.criterion(out, x[:, 1]).backward()
        scores.append(out.detach().nan_to_num(0.0))
        gradients.append([weight.grad for weight in model.parameters()])
        model.zero_grad(set_to_none=True)
        store_frozen(model.backbone, torch.bfloat16)
    assert {weight.dtype for weight in frozen(model)} == {torch.float32, torch.bfloat16}
    assert torch.equal(*scores)
    assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_output_layer_gets_a_copy_and_embeddings_stay_as_they_are(tied: bool) -> None:
    backbone = nn.ModuleDict({"embedding": nn.Embedding(6, 4), "head": nn.Linear(4, 6, bias=False)})
    backbone.requires_grad_(False)
    if tied:
        backbone["head"].weight = backbone["embedding"].weight
    expected = backbone["head"].weight.to(torch.bfloat16)
    store_frozen(backbone, torch.bfloat16)
    assert backbone["embedding"].weight.dtype == torch.float32
    assert torch.equal(backbone["head"].weight, expected)


def test_trainable_weights_stay_in_full_precision() -> None:
    model = LanguageModel.from_pretrained("tiny", autocast=torch.bfloat16)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
