"""What :mod:`benchmarks.gpu_check` trains: a model on two equally long tasks."""

import gc
import tempfile
import time
from copy import deepcopy
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from avalanche_aim import CheckpointPlugin, LanguageModel
from avalanche_aim.experiments import STRATEGIES, Budget, Settings
from avalanche_aim.experiments.runner import make_strategy, seed_everything
from avalanche_aim.plugin import AIMMergingPlugin
from avalanche_aim.text.model.adapters import add_lora
from avalanche_aim.text.model.scoring import Blocks, Way, score
from avalanche_aim.text.stream.encoding import unpack
from benchmarks.workload import even_stream

BATCH, TOKENS = 16, 96


class Interrupted(Exception):
    """A run was interrupted, on purpose."""


class Run:
    """What came of a run.

    :param strategy: trained on two tasks.
    :param losses: of the second.
    :param cost: its seconds an iteration and peak memory.
    """

    def __init__(self, strategy: Any, losses: list[float], cost: dict[str, float]) -> None:
        self.losses, self.cost = losses, cost
        self.weights = [weight.detach().float().cpu() for weight in strategy.model.parameters()]
        aim = next((plugin for plugin in strategy.plugins if isinstance(plugin, AIMMergingPlugin)), None)
        self.history: Any = None if aim is None else aim.history
        state = [] if aim is None else aim.merging.state_dict()["rehearsal"]["fine_tuning"]["own"]
        self.memory_state = [moments for moments in state if moments]


class Watch(SupervisedPlugin):
    """Times the second task and keeps its losses; interrupts it half-way where that is asked for."""

    def __init__(self, device: str, interrupted: bool) -> None:
        super().__init__()
        self.cuda, self.interrupted = device.startswith("cuda"), interrupted
        self.losses: list[Tensor] = []
        self.cost: dict[str, float] = {}
        self._began = 0.0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Begin."""
        self.losses = []
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._began = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Nothing that training depends on."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the loss."""
        self.losses.append(strategy.loss.detach())
        half = len(strategy.dataloader) // 2
        if self.interrupted and strategy.experience.current_experience == 1 and len(self.losses) == half:
            raise Interrupted

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """End."""
        if self.cuda:
            torch.cuda.synchronize()
        seconds = (time.perf_counter() - self._began) / len(self.losses)
        self.cost = {"seconds an iteration": round(seconds, 4)}
        if self.cuda:
            self.cost["peak GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 3)


class Work:
    """Makes models, streams and strategies.

    :param name: the model's.
    :param iterations: of a task.
    """

    def __init__(self, name: str, iterations: int) -> None:
        self.name, self.is_tiny = name, name.startswith("tiny")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.iterations = iterations
        self.tokenizer = self.load().tokenizer
        self._streams: dict[int, Any] = {}

    def load(self, **settings: Any) -> LanguageModel:
        """Load the model, in bf16's mixed precision unless other settings say otherwise."""
        return LanguageModel.from_pretrained(self.name, **{"autocast": torch.bfloat16, **settings})

    def stream(self, model: LanguageModel) -> Any:
        """Return two tasks for a model."""
        key = len(model.tokenizer)
        if key not in self._streams:
            self._streams[key] = even_stream(model.tokenizer, 2, BATCH * self.iterations, TOKENS).train_stream
        return self._streams[key]

    def train(
        self, model: LanguageModel, name: str, device: str = "", interrupted: bool = False, **options: Any
    ) -> Run:
        """Train a copy of a model on both tasks.

        :param model: the model.
        :param name: the strategy's.
        :param device: where; the accelerator by default.
        :param interrupted: whether to stop in the second task, and resume.
        :param options: of the strategy.
        """
        device, stream = device or self.device, self.stream(model)
        if not interrupted:
            strategy, watch = self._strategy(model, name, device, False, options)
            for experience in stream:
                strategy.train(experience, reset_optimizer_state=True)
            return self._ended(strategy, watch)
        with tempfile.TemporaryDirectory() as folder:
            for stops in (True, False):
                strategy, watch = self._strategy(model, name, device, stops, options)
                checkpoint = CheckpointPlugin(folder, every=max(1, self.iterations // 3))
                strategy.plugins.insert(1, checkpoint)
                try:
                    for experience in checkpoint.resume(strategy, stream):
                        strategy.train(experience, reset_optimizer_state=True)
                except Interrupted:
                    continue
        return self._ended(strategy, watch)

    def _strategy(self, model: Any, name: str, device: str, interrupted: bool, options: Any) -> tuple[Any, Watch]:
        seed_everything(0)
        settings = Settings(batch_size=BATCH, memory=2 * BATCH, device=device, max_grad_norm=1.0)
        chosen = STRATEGIES[name]
        arguments = chosen.arguments(Budget(settings.memory, 0, BATCH, (BATCH * self.iterations,) * 2), **options)
        watch = Watch(device, interrupted)
        arguments["plugins"] = [*arguments.get("plugins", []), watch]
        return make_strategy(deepcopy(model), settings, 0, [], chosen.template, **arguments), watch

    def _ended(self, strategy: Any, watch: Watch) -> Run:
        run = Run(strategy, [float(loss) for loss in watch.losses], watch.cost)
        del strategy
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
        return run

    def gradients(self, model: LanguageModel) -> tuple[float, list[Tensor]]:
        """Return the loss of one batch in training, and the gradients of the LoRA matrices that are 0 at first."""
        x = self._rows(model)
        model.train()
        seed_everything(0)
        loss = model.criterion(model(x), x[:, 1])
        loss.backward()
        return float(loss.detach()), [p.grad.float().cpu() for n, p in model.named_parameters() if "lora_B" in n]

    def scores_apart(self, model: LanguageModel) -> tuple[float, str]:
        """Return how far scores of all labels lie from those of texts alone, and how they were made."""
        x = self._rows(model)
        model.eval()
        with torch.no_grad():
            finding = model.finding(x)
            batch = unpack(x, pad_left=True)
            answers: Any = model.answers
            columns, own = answers.columns(batch.task, False)
            blocks = Blocks.of([answers.tokens[c] for c in columns], batch, own)
            with model.mixed_precision(x.device):
                fast, alone = (score(model.language_model, batch, blocks, False, way)[0]
                               for way in (finding.way, Way.ALONE))  # fmt: skip
        return float((fast - alone).abs().max()), finding.way.name

    def _rows(self, model: LanguageModel) -> Tensor:
        experience = self.stream(model)[0]
        model.adaptation(experience)
        model.to(self.device)
        return torch.stack([experience.dataset[i][0] for i in range(BATCH)]).to(self.device)


def compare(these: list[Tensor], those: list[Tensor]) -> float:
    """Return how far tensors lie apart, as a share of their length.

    :param these: some.
    :param those: as many.
    """
    apart = sum(float((a - b).square().sum()) for a, b in zip(these, those, strict=True))
    return (apart / max(sum(float(a.square().sum()) for a in these), 1e-30)) ** 0.5


def large_model(name: str, tokenizer: Any, device: str) -> LanguageModel:
    """Make a random model of 1B parameters in bf16, with LoRA, on the device.

    :param name: "1B", or "tiny" for the tiny model.
    :param tokenizer: a tokenizer.
    :param device: where.
    """
    if name == "tiny":
        return LanguageModel.from_pretrained("tiny")
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
        num_attention_heads=32, num_key_value_heads=8, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.bfloat16)
        with torch.device(device):
            backbone = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    return LanguageModel(add_lora(backbone, True), tokenizer, autocast=torch.bfloat16)
