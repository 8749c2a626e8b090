"""Every family of models is scored as by itself, or refused with a message.

``python -m pytest tests/text/model/test_families.py -m ''`` tries all of them, and writes the table of
docs/measured/models.md to ``families.md`` in the folder that ``AIM_FAMILIES`` names.
"""

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from families import DECODERS, ENCODER_DECODERS, build
from torch import Tensor

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.text import TextTask
from avalanche_aim.text.model.generation import greedy
from avalanche_aim.text.model.scoring import decoder_start
from avalanche_aim.text.model.tiny import tiny_tokenizer
from avalanche_aim.text.stream.encoding import HEADER, AnswerSpace, pack, unpack

LABELS = ["yes", "no", "very positive review", "Science or Technology"]
ROWS = [(f"case {i} of the {'long ' * (i % 7)}list of things to sort? Answer:", LABELS[i % 4]) for i in range(24)]
ALWAYS = ("llama", "gemma3_window", "lfm2", "rwkv", "falcon_alibi", "t5gemma", "bart")
"""Those of the default suite: one of each way, and one of each kind."""
REFUSED = {
    "bert", "bert-generation", "electra", "megatron-bert", "roberta", "xlm-roberta", "roberta_decoder",  # not causal
    "xlm", "xlnet", "prophetnet",
    "llama_dynamic", "phi3_longrope",  # scores depend on texts before, or on how long a text becomes
    "mbart_without_start", "switch_transformers",
}  # fmt: skip
TABLE: dict[str, str] = {}


def transformers_loss(model: LanguageModel, prompt: list[int], answer: list[int]) -> Tensor:
    """Transformers' own loss of one answer to one prompt, alone and without padding."""
    network = model.language_model
    if network.config.is_encoder_decoder:  # whose models do not all shift labels alike
        ids = torch.tensor([[decoder_start(network), *answer[:-1]]])
        logits = network(input_ids=torch.tensor([prompt]), decoder_input_ids=ids, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits[0], torch.tensor(answer))
    logits = network(input_ids=torch.tensor([prompt + answer])).logits
    return torch.nn.functional.cross_entropy(logits[0, len(prompt) - 1 : -1], torch.tensor(answer))


def tokens_of(row: Tensor) -> tuple[list[int], list[int]]:
    end = HEADER + int(row[2])
    return row[HEADER:end].tolist(), row[end : end + int(row[3])].tolist()


def as_markdown(table: dict[str, str]) -> str:
    """The table of docs/measured/models.md: a row for each way, and for each reason of a refusal."""
    rows: dict[str, list[str]] = {}
    for name, how in sorted(table.items()):
        rows.setdefault(re.sub(r"[0-9.]+(e-[0-9]+)?(?= (with|after|otherwise))", "x", how), []).append(name)
    lines = [f"| {how} | {', '.join(names)} |" for how, names in sorted(rows.items())]
    return "\n".join(["| how it is scored | families |", "|---|---|", *lines]) + "\n"


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Write the table of what was tried."""
    yield
    if folder := os.environ.get("AIM_FAMILIES"):
        Path(folder, "families.md").write_text(as_markdown(TABLE), encoding="utf-8")


@torch.no_grad()
def check(name: str) -> None:
    model = LanguageModel(build(name), tiny_tokenizer("seq2seq" if name in ENCODER_DECODERS else "causal"))
    task = TextTask.from_lists("t", train=ROWS, test=ROWS, labels=LABELS)
    experience = text_benchmark([task], model.tokenizer, cache=False).test_stream[0]
    model.adaptation(experience)
    x, y = (torch.stack([torch.as_tensor(experience.dataset[i][part]) for i in range(len(ROWS))]) for part in (0, 1))
    scores = model.eval()(x)
    assert model.answers is not None
    alone = [[transformers_loss(model, tokens_of(row)[0], list(label)) for label in model.answers.tokens] for row in x]
    expected = -torch.tensor(alone)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)
    with model.gold_scores():  # as in training, but for dropout
        loss = -expected.gather(1, y[:, None]).mean()
        torch.testing.assert_close(model.criterion(model(x), y), loss, rtol=1e-4, atol=1e-4)
    TABLE[name] = model.finding(x).way.value
    # Exact match: what the model itself generates, and the same with another last token
    answers = greedy(model.language_model, model.tokenizer, unpack(x, model.is_causal), model.finding(x).generation, 3)
    others = [[*answer[:-1], 7 if answer[-1] != 7 else 8] for answer in answers]
    model.answers = AnswerSpace((), (), ("t",), ((),), model.style)
    prompts = [tokens_of(row)[0] for row in x]
    right, wrong = (model.answer_scores(pack(prompts, given)).exact for given in (answers, others))
    assert right is not None and right.all()
    assert wrong is not None and not wrong.any()


NAMES = (*DECODERS, *ENCODER_DECODERS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.families) for name in NAMES]
)
def test_a_family_is_scored_as_by_itself_or_refused(name: str, request: pytest.FixtureRequest) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is scored in.*")
        if name not in REFUSED:
            check(name)
            return
        with pytest.raises(ValueError, match=r"expected a (language )?model that") as refused:
            check(name)
        TABLE[name] = f"refused: {refused.value}"


def test_a_slower_way_is_said_once(recwarn: pytest.WarningsRecorder) -> None:
    for _ in range(2):
        network = build("openai-gpt")
        network.config.n_positions += 1  # another model than those of other tests
        model = LanguageModel(network, tiny_tokenizer("causal"))
        model.generate("one two three")
    said: list[Any] = [str(warning.message) for warning in recwarn if "is scored in" in str(warning.message)]
    assert len(said) == 1
    assert said[0].startswith("openai-gpt is scored in one pass a label, which is slower; all labels in one pass: ")
