"""What is trained in the measurements: equally long tasks, and strategies over copies of one model.

All prompts are shortened to the same number of tokens and all labels have two digits, so that a batch of the memory
costs what a training batch costs, and one task what another costs.
"""

import gc
from copy import deepcopy
from typing import Any

from avalanche.benchmarks import CLScenario

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.experiments import STRATEGIES, Budget, Settings
from avalanche_aim.experiments.runner import make_strategy
from avalanche_aim.plugin import AIMMergingPlugin
from avalanche_aim.text import TextExample, TextTask
from benchmarks.figures import Options

ITERATIONS = 16
"""Training iterations of a task: two intervals of the initial length, after which nothing is left unmerged."""
BATCH_SIZE, PROMPT_TOKENS, LABELS = 8, 64, 4
REAL_BATCH_SIZE, REAL_PROMPT_TOKENS = 4, 32


class Workload:
    """A model, and a stream of tasks for it.

    :param options: with what to measure.
    :param tasks: how many tasks.
    :param iterations: training iterations of each.
    :param model: the model's name, where it is not that of the options.
    :param batch_size: examples of an iteration, where they are not the usual ones.
    :param settings: further arguments of ``LanguageModel.from_pretrained``.
    """

    def __init__(
        self,
        options: Options,
        tasks: int,
        iterations: int = ITERATIONS,
        model: str | None = None,
        batch_size: int | None = None,
        **settings: Any,
    ) -> None:
        name = model or options.model
        tiny = name.startswith("tiny")
        usual, tokens = (BATCH_SIZE, PROMPT_TOKENS) if tiny else (REAL_BATCH_SIZE, REAL_PROMPT_TOKENS)
        self.batch_size = batch_size or usual
        self.iterations = iterations
        self.model = LanguageModel.from_pretrained(name, **settings)
        self.stream = even_stream(self.model.tokenizer, tasks, iterations * self.batch_size, tokens).train_stream
        gc.collect()
        gc.freeze()  # the libraries' objects need not be looked at again while something is measured

    def strategy(self, name: str, **options: Any) -> Any:
        """Make a strategy over a copy of the model.

        :param name: a key of ``STRATEGIES``.
        :param options: its further arguments.
        """
        size = self.batch_size
        settings = Settings(batch_size=size, memory=2 * size)
        budget = Budget(settings.memory, 0, size, tuple(len(experience.dataset) for experience in self.stream))
        chosen = STRATEGIES[name]
        arguments = chosen.arguments(budget, **options)
        return make_strategy(deepcopy(self.model), settings, 0, [], chosen.template, **arguments)


def plugin_of(strategy: Any) -> AIMMergingPlugin:
    """Return the AIMMergingPlugin of a strategy.

    :param strategy: one that has it.
    """
    return next(plugin for plugin in strategy.plugins if isinstance(plugin, AIMMergingPlugin))


def even_stream(tokenizer: Any, tasks: int, examples: int, tokens: int) -> CLScenario:
    """Build a stream of equally long tasks, each with labels of its own.

    :param tokenizer: the model's.
    :param tasks: how many.
    :param examples: training examples of each.
    :param tokens: of each prompt.
    """
    made = [_task(number, examples, tokens) for number in range(tasks)]
    return text_benchmark(made, tokenizer, max_prompt_tokens=tokens, cache=False)


def _task(number: int, examples: int, tokens: int) -> TextTask:
    labels = tuple(f"{10 + (number * LABELS + i) % 90}" for i in range(LABELS))
    # At least one token a word: every prompt is longer than the limit, and is shortened to it.
    words = [" ".join(f"w{(row * 7 + place) % 97}" for place in range(tokens)) for row in range(examples)]
    rows = tuple(TextExample(f"{text}\nNumber:", (labels[i % LABELS],)) for i, text in enumerate(words))
    return TextTask(f"task{number}", rows, rows[:LABELS], rows[:LABELS], labels)
