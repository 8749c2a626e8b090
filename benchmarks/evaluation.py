"""What evaluating a classification task costs, in plain forward passes of its prompts, and against generating.

python -m benchmarks.evaluation                      # two random models of 4 layers
python -m benchmarks.evaluation --model FOLDER --examples 16
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor

from avalanche_aim.evaluation.scores import normalise
from avalanche_aim.text import LanguageModel, generate, standard_cl
from avalanche_aim.text.model.tiny import tiny_tokenizer
from avalanche_aim.text.stream.encoding import unpack
from benchmarks.figures import Figure, Options
from benchmarks.measure import interleaved, spread


def main(argv: list[str] | None = None) -> int:
    """Measure, and print the figures."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", help="a model folder or id; by default two random models, causal and T5")
    p.add_argument("--data", default="sample", help='"sample", or a folder with train, dev and test')
    p.add_argument("--task", type=int, default=0, help="which task of order 1, from 0")
    p.add_argument("--examples", type=int, default=64, help="evaluated examples")
    p.add_argument("--batch-size", type=int, default=16, help="of evaluation and of the plain pass")
    p.add_argument("--repeats", type=int, default=7, help="rounds of both passes")
    p.add_argument("--generated", type=int, default=8, help="examples that are generated, one at a time")
    p.add_argument("--generation-repeats", type=int, default=3, help="rounds of generating")
    arguments = p.parse_args(argv)
    if arguments.model:
        models = {arguments.model: LanguageModel.from_pretrained(arguments.model)}
    else:
        models = {f"random {kind}": random_model(kind) for kind in ("causal", "seq2seq")}
    for name, model in models.items():
        print(f"{name}:")
        measure(model.eval(), arguments)
    return 0


def figures(options: Options) -> list[Figure]:
    """Measure as ``python -m benchmarks.evaluation`` does, with fewer examples of a tiny model or when quick.

    :param options: with what to measure.
    """
    model = LanguageModel.from_pretrained(options.model).eval()
    examples, generated = (16, 2) if options.quick else (64, 8)
    arguments = argparse.Namespace(
        data="sample",
        task=0,
        examples=examples,
        batch_size=16,
        repeats=options.repeats(7),
        generated=generated,
        generation_repeats=options.repeats(3, 1),
    )
    measured = measure(model, arguments)
    return [
        Figure("evaluation / plain passes of the prompts", measured.pop("plain"), 1.5),
        *(Figure(f"generating one by one, {name}, / evaluation", values, 20.0, at_least=True)
          for name, values in measured.items()),
    ]  # fmt: skip


@torch.no_grad()
def measure(model: LanguageModel, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Print the figures of one model.

    :param model: in eval mode.
    :param arguments: of the command line.
    :return: evaluation in plain passes under "plain", and generation in evaluations under its limits' names.
    """
    benchmark = standard_cl(1, model.tokenizer, arguments.data, eval_per_task=arguments.examples, cache=False)
    experience = benchmark.test_stream[arguments.task]
    rows = torch.stack([x for x, *_ in experience.dataset])
    batches = list(rows.split(arguments.batch_size))
    model.adaptation(experience)
    print(f"  {len(rows)} examples of {experience.task_name}, {len(experience.task.labels)} labels")
    passes: dict[str, Callable[[], object]] = {
        "plain": lambda: [plain_pass(model, x) for x in batches],
        "evaluation": lambda: [model(x) for x in batches],
    }
    times = interleaved(passes, arguments.repeats)
    ratios = [a / b for a, b in zip(times["evaluation"], times["plain"], strict=True)]
    for label, seconds in times.items():
        print(f"  {label}: {spread(seconds, ' ms', 1000)}")
    print(f"  evaluation / plain pass: {spread(ratios)}, at most 1.5 wanted")
    measured = {"plain": ratios}
    matches: list[bool] = []
    for x in batches:
        model(x)
        matches += model.exact_match.tolist()  # type: ignore[union-attr]
    few = rows[: arguments.generated]
    longest = max(map(len, experience.answers.tokens))
    # A random model seldom ends its answer; cut at the longest label it takes the steps of a model that does.
    limits = {f"at most {n} tokens": partial(generate_singly, model, few, n) for n in (longest, 128)}
    per_example = median(times["evaluation"]) / len(rows)
    for label, seconds in interleaved(limits, arguments.generation_repeats).items():
        measured[label] = quotient = [value / len(few) / per_example for value in seconds]
        print(f"  generating one at a time, {label}, / evaluation: {spread(quotient)}, at least 20 wanted")
    answers, examples = generate_singly(model, few, 128), experience.task.test
    same = [
        (normalise(answer) == normalise(example.answer)) == match
        for answer, example, match in zip(answers, examples, matches, strict=False)
    ]
    print(f"  same verdicts: {sum(same)} of {len(same)}, of which right: {sum(matches[: len(same)])}")
    return measured


def plain_pass(model: LanguageModel, x: Tensor) -> object:
    """One forward pass of the prompts; a T5-like model decodes one token.

    :param model: the model.
    :param x: packed rows.
    """
    batch = unpack(x, pad_left=model.is_causal)
    mask = batch.prompt_mask.long()
    if model.is_causal:
        return model.language_model(input_ids=batch.prompt, attention_mask=mask, use_cache=False, logits_to_keep=1)
    start = torch.zeros(len(x), 1, dtype=torch.long)
    return model.language_model(input_ids=batch.prompt, attention_mask=mask, decoder_input_ids=start, use_cache=False)


def generate_singly(model: LanguageModel, rows: Tensor, limit: int) -> list[str]:
    """Generate the answers one example at a time, as the published code does.

    :param model: the model.
    :param rows: packed rows.
    :param limit: tokens after which an answer is cut.
    """
    return [generate(model, row[None], limit)[0] for row in rows]


def random_model(kind: str) -> LanguageModel:
    """Build a random model of hidden size 256 and 4 layers, with LoRA.

    :param kind: "causal" or "seq2seq".
    """
    from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

    tokenizer = tiny_tokenizer(kind)
    shared = {"vocab_size": len(tokenizer), "pad_token_id": 0, "eos_token_id": 1}
    torch.manual_seed(0)
    if kind == "seq2seq":
        config = T5Config(
            d_model=256, d_kv=64, d_ff=1024, num_layers=4, num_heads=4, decoder_start_token_id=0, **shared
        )
        return LanguageModel(T5ForConditionalGeneration(config), tokenizer)
    sizes = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 4}
    return LanguageModel(LlamaForCausalLM(LlamaConfig(bos_token_id=None, **sizes, **shared)), tokenizer)


if __name__ == "__main__":
    raise SystemExit(main())
