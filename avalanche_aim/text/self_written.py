"""A memory without data: examples of past tasks that the model has written itself.

At the end of each task the model continues what all prompts of the task begin with, and answers what it has written.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..distributed import broadcast
from ..rehearsal import Rehearsal
from ..rehearsal.sampling import balanced_choice
from ..training.isolation import RandomStream, eval_mode, stream_seed
from .model.generation import plain_generation
from .model.language_model import LanguageModel
from .stream.encoding import HEADER, PAD, pack, prompt_of

AT_ONCE = 16
"""Texts that are written at once."""


class SelfWrittenMemory:
    """Holds examples that a causal language model wrote of each past task; nothing of the data is kept but its form.

    The form of a task is the tokens that all its prompts begin and end with (instruction and cue), and their mean
    length. A text is sampled after the beginning and cut at the cue or at that length; its answer is the label that the
    model scores highest. It is kept if the model's probability per token of that answer is high enough, and if few of
    its runs of three tokens repeat. Kept examples are balanced over the labels. ::

        AIMMergingPlugin("settled", rehearsal=SelfWrittenRehearsal(SelfWrittenMemory(16)))

    :param size: examples of each past task.
    :param seed: of what is sampled.
    :param attempts: texts that are written for each example asked for.
    :param confidence: the least probability per token of the answer.
    :param distinct: the least share of runs of three tokens that differ.
    :param temperature: of the sampling.
    :raises ValueError: for a setting out of range.
    """

    def __init__(
        self,
        size: int = 16,
        seed: int = 0,
        attempts: int = 4,
        confidence: float = 0.5,
        distinct: float = 0.7,
        temperature: float = 1.0,
    ) -> None:
        for name, count in (("size", size), ("attempts", attempts)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f"{name}: expected 1 or more, got {count!r:.80}")
        for name, share in (("confidence", confidence), ("distinct", distinct)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: expected a share in [0, 1], got {share}")
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature: expected a positive number, got {temperature}")
        self.size, self.attempts, self.temperature = size, attempts, temperature
        self.confidence, self.distinct = confidence, distinct
        self.selected: list[list[int]] = []
        """The numbers of each past task's examples."""
        self._generator = torch.Generator().manual_seed(stream_seed(seed, "self-written choice"))
        self._noise = RandomStream(stream_seed(seed, "self-written texts"))
        self._rows = torch.zeros(0, 0, dtype=torch.long)
        self._last: Any = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def empty_because(self) -> str:
        """Why nothing is rehearsed, where no text was kept."""
        return (
            "none of the texts that the model wrote passed the filter: nothing is rehearsed, and nothing will merge; "
            f"lower confidence ({self.confidence}) or distinct ({self.distinct}), or write more "
            f"(attempts={self.attempts})"
        )

    def check(self, model: Any, experience: Any) -> None:
        """Refuse what could not be written, before it is trained on.

        :raises ValueError: for a model that writes no texts, and a task without closed labels.
        """
        if not isinstance(model, LanguageModel) or not model.is_causal:
            raise ValueError(
                "self-written rehearsal: expected a causal LanguageModel, which can write examples, got "
                f"{type(model).__name__}; use a rehearsal with a memory"
            )
        task = getattr(experience, "task", None)
        if task is None or task.labels is None:
            what = "no text task" if task is None else f"the open {task.name}"
            raise ValueError(f"self-written rehearsal: expected tasks with closed labels, got {what}; leave it out")

    def post_adapt(self, strategy: Any, experience: Any) -> None:
        """Write examples of the task that has ended."""
        if experience is self._last:
            return
        self._last = experience
        with eval_mode(strategy.model), torch.no_grad():
            rows = broadcast(self._written(strategy.model, experience, strategy.device))
        chosen = balanced_choice(rows[:, 1].tolist(), self.size, self._generator)
        self.selected.append(list(range(len(chosen))))
        if chosen:
            kept = rows[chosen]
            self._rows = torch.cat([self._rows, kept]) if len(self) else kept

    def batch(self, size: int, generator: torch.Generator, among: Sequence[int] | None = None) -> Any:
        """Draw a random batch without replacement.

        :param size: examples; all where there are fewer.
        :param generator: the only source of randomness for the choice.
        :param among: numbers of examples to choose from; all of them by default.
        """
        numbers = torch.arange(len(self)) if among is None else torch.tensor(list(among))
        rows = self._rows[numbers[torch.randperm(len(numbers), generator=generator)[:size]]]
        return [rows, rows[:, 1].clone(), torch.zeros(len(rows), dtype=torch.long)]

    def state_dict(self) -> dict[str, Any]:
        """Return the examples, and where the random streams are."""
        return {
            "selected": [list(numbers) for numbers in self.selected],
            "rows": self._rows,
            "generator": self._generator.get_state(),
            "noise": self._noise.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.selected, self._rows = [list(numbers) for numbers in state["selected"]], state["rows"]
        self._generator.set_state(state["generator"])
        self._noise.load_state_dict(state["noise"])

    def _written(self, model: LanguageModel, experience: Any, device: torch.device) -> Tensor:
        """Write, answer and filter examples; packed rows, shape (N, width)."""
        examples = [experience.dataset[number][0] for number in range(len(experience.dataset))]
        prompts = [prompt_of(row) for row in examples]
        begin, cue = _shared(prompts)
        longest = sum(map(len, prompts)) // len(prompts) - len(begin) - len(cue)
        task, width = int(examples[0][0]), len(examples[0])
        kept: dict[tuple[int, ...], Tensor] = {}
        for texts in self._texts(model, begin, cue, max(1, longest), device):
            sound = [[*begin, *text, *cue] for text in texts if text and _distinct(text) >= self.distinct]
            if sound:
                asked = pack(sound)
                asked[:, 0] = task
                asked = pad(asked, (0, width - asked.shape[1]), value=PAD)
                kept |= {tuple(row[HEADER:].tolist()): row for row in self._answered(model, asked, device)}
        return torch.stack(list(kept.values())) if kept else torch.zeros(0, width, dtype=torch.long)

    def _texts(
        self, model: LanguageModel, begin: list[int], cue: list[int], longest: int, device: torch.device
    ) -> Iterator[list[list[int]]]:
        """Sample what stands between the beginning and the cue, some texts at a time."""
        end = model.tokenizer.eos_token_id
        context = torch.tensor([begin or [end]], device=device)
        for start in range(0, self.size * self.attempts, AT_ONCE):
            number = min(AT_ONCE, self.size * self.attempts - start)
            plain = plain_generation(model.language_model, model.tokenizer, longest)
            with self._noise.on(device), model.mixed_precision(device), plain as settings:
                settings.update(do_sample=True, temperature=self.temperature, top_k=0)
                output = model.language_model.generate(
                    input_ids=context.expand(number, -1),
                    attention_mask=torch.ones(number, context.shape[1], dtype=torch.long, device=device),
                    generation_config=settings,
                )
            stops = [[end], *([cue] if cue else [])]
            yield [_up_to(row, stops) for row in output[:, context.shape[1] :].tolist()]

    def _answered(self, model: LanguageModel, rows: Tensor, device: torch.device) -> list[Tensor]:
        """Write the best answers into rows; leave out those of which the model is not sure, or that hold none."""
        assert model.answers is not None
        classes = list(model.answers.task_classes[int(rows[0, 0])])
        for row in rows:  # any answer will do: all labels of the task are scored
            _put(row, classes[0], model.answers.tokens[classes[0]][:1])
        best = model(rows.to(device))[:, classes].max(1)
        answered = []
        for row, probability, number in zip(rows, best.values.exp().tolist(), best.indices.tolist(), strict=True):
            answer = model.answers.tokens[classes[number]]
            if probability >= self.confidence and HEADER + int(row[2]) + len(answer) <= len(row):
                answered.append(_put(row, classes[number], answer))
        return answered


class SelfWrittenRehearsal(Rehearsal):
    """Rehearses what the model has written itself.

    :param memory: what it writes and how.
    :param settings: of :class:`~avalanche_aim.rehearsal.Rehearsal`.
    """

    def __init__(self, memory: SelfWrittenMemory | None = None, **settings: Any) -> None:
        super().__init__(SelfWrittenMemory() if memory is None else memory, **settings)

    def state_dict(self, weights: list[Tensor]) -> dict[str, Any]:
        return {**super().state_dict(weights), "memory": self.memory.state_dict()}

    def load_state_dict(self, state: dict[str, Any], weights: list[Tensor]) -> None:
        self.memory.load_state_dict(state["memory"])
        super().load_state_dict({name: value for name, value in state.items() if name != "memory"}, weights)


def _put(row: Tensor, target: int, answer: Sequence[int]) -> Tensor:
    """Write an answer behind the prompt, in place."""
    at = HEADER + int(row[2])
    row[1], row[3] = target, len(answer)
    row[at : at + len(answer)] = torch.tensor(answer)
    return row


def _shared(prompts: Sequence[list[int]]) -> tuple[list[int], list[int]]:
    """Return the tokens that all prompts begin with, and those that all end with."""
    shortest = min(map(len, prompts)) - 1
    first = prompts[0]
    begin = next((n for n in range(shortest) if len({p[n] for p in prompts}) > 1), shortest)
    rest = shortest - begin
    end = next((n for n in range(rest) if len({p[-1 - n] for p in prompts}) > 1), rest)
    return first[:begin], first[len(first) - end :]


def _up_to(tokens: list[int], stops: Sequence[list[int]]) -> list[int]:
    """Cut a text where the first of some runs of tokens begins."""
    for place in range(len(tokens)):
        if any(tokens[place : place + len(stop)] == stop for stop in stops):
            return tokens[:place]
    return tokens


def _distinct(text: Sequence[int]) -> float:
    """The share of runs of three tokens that differ; 1 for a text that is too short to have one."""
    runs = list(zip(text, text[1:], text[2:], strict=False))
    return len(set(runs)) / len(runs) if runs else 1.0
