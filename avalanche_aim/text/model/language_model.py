"""A Hugging Face language model in the form that Avalanche's strategies can hold."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from avalanche.models import DynamicModule
from torch import Tensor, nn

from ...distributed.sharding import is_sharded
from ...training.isolation import RandomStream, set_mode
from ..stream.answer_key import Source
from ..stream.encoding import AnswerSpace, Style, made_for, unpack
from .adapters import add_lora, check_settings
from .compiling import compile_layers, layers_of
from .criteria import check_criterion, only_gold
from .export import save_merged, save_model
from .generation import MAX_NEW_TOKENS, answer
from .limits import check_limits, check_start
from .loading import check_adapter, checkpoint_layers, load_backbone, stays_put, store_frozen
from .measuring import Finding, find
from .model_card import Base, Training
from .scoring import AnswerScores, Blocks, Way, gold_matches, score, with_matches
from .sources import DEFAULT_MODEL
from .tiny import TINY, tiny_model, tiny_tokenizer

WATCHED_PASSES = 16
"""Training passes of each experience whose gradients are checked for scores that were not computed."""


class LanguageModel(DynamicModule):
    """A causal or sequence-to-sequence language model whose output is a plain (B, C) tensor of answer scores.

    ``out[b, c]`` is the mean log-probability a token of answer c to prompt b, end of sequence included, so that
    ``NLLLoss`` (``criterion``) is the language-modelling loss of the gold answer, averaged over examples. Classes
    are the answers of the stream (:class:`~avalanche_aim.text.stream.encoding.AnswerSpace`); Avalanche hands the model
    each experience before training or evaluating on it, which is how the model comes to know them.

    Only the scores that are needed are computed. In training that is the gold answer's; the other columns are
    NaN (so that Avalanche's own training accuracy means nothing), and a gradient that reaches one raises an
    error. In evaluation all labels of the example's task are scored; the columns of other tasks are −inf.
    ``score_all_labels=True`` computes all columns always, for strategies that read them in training (LwF, MAS,
    DER, ER-ACE).

    How several labels pass through the model is measured on first use (:mod:`~avalanche_aim.text.model.measuring`).

    The frozen backbone stays out of the module registry and is shared between copies of the model, so that
    strategies which copy the model or store one float a parameter see the trainable weights alone. So moving one copy
    to another device or dtype moves the frozen weights of all.

    :param backbone: a Hugging Face model, with LoRA of ``peft`` or without.
    :param tokenizer: its tokenizer.
    :param score_all_labels: see above.
    :param autocast: the dtype of mixed precision (``torch.bfloat16``, or ``torch.float16`` with a ``GradScaler`` in
        :class:`~avalanche_aim.GradientStep`), or None for the model's own precision.
    :param compile: whether the layers are compiled by ``torch.compile``, at the first pass: the same results to
        rounding, and on a GPU far less time of the processor for each layer.
    :raises ValueError: for settings of ``peft`` that can't be honoured, and a sequence-to-sequence model that says no
        token for its decoder to start with.
    """

    def __init__(
        self,
        backbone: nn.Module,
        tokenizer: Any,
        *,
        score_all_labels: bool = False,
        autocast: torch.dtype | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        # Past Module.__setattr__: Avalanche must not find the frozen weights.
        object.__setattr__(self, "backbone", backbone)
        self.tokenizer = tokenizer
        self.score_all_labels = score_all_labels
        self._gold_only = False
        self.autocast = autocast
        if compile:
            layers_of(self.language_model)
        self.compiled = compile
        self._to_compile = compile
        self.base: Base | None = None
        """What others can load the base model by, known after :meth:`from_pretrained`."""
        self.criterion = nn.NLLLoss()
        self.answers: AnswerSpace | None = None
        self._passes = 0
        self._finding: Finding | None = None
        self._measured = 0
        for settings in getattr(backbone, "peft_config", {}).values():
            check_settings(settings)
        check_start(self.language_model)
        made_for(tokenizer, self.style)
        self.register_trainable()

    @classmethod
    def from_pretrained(
        cls,
        name: str = DEFAULT_MODEL,
        lora: bool | dict[str, Any] | Any = True,
        *,
        seed: int = 0,
        score_all_labels: bool = False,
        autocast: torch.dtype | None = None,
        gradient_checkpointing: bool = False,
        compile: bool = False,
        **kwargs: Any,
    ) -> "LanguageModel":
        """Load a model and its tokenizer.

        :param name: a Hugging Face id, a local folder (an adapter saved by :meth:`save_pretrained` too, which goes on
            training), or "tiny" or "tiny-t5" for a tiny random model.
        :param lora: True for rank 8, α 32, dropout 0.05 on the query and value projections; a dict of changes to
            these; a ``peft.LoraConfig``; False to train all weights. A saved adapter comes with its own settings and
            takes True only.
        :param seed: of the LoRA weights (and of a tiny model's); the global random stream stays as it was.
        :param score_all_labels: see the class.
        :param autocast: see the class. Frozen linear layers are then stored in this dtype: the same outputs, less
            memory and time.
        :param gradient_checkpointing: whether the backward pass computes each layer's activations anew instead of
            keeping them: the same gradients, less memory, more time.
        :param compile: see the class.
        :param kwargs: further arguments of Transformers' ``from_pretrained``; ``dtype`` is float32 by default. With
            ``quantization_config``, or a ``device_map`` over several devices, the model stays where it was loaded. A
            tiny model takes ``dtype`` and ``attn_implementation``.
        :raises OSError, ValueError, TypeError: for a model that cannot be found or loaded with these arguments; the
            message says what to do.
        """
        if name in TINY:
            tokenizer = tiny_tokenizer(TINY[name])
            backbone = tiny_model(TINY[name], len(tokenizer), seed, **kwargs)
        else:
            backbone, tokenizer = load_backbone(name, **kwargs)
        base = None if name in TINY else Base.named(name, kwargs.get("revision"))
        if hasattr(backbone, "peft_config"):
            check_adapter(name, backbone, lora)
            base = Base.named(next(iter(backbone.peft_config.values())).base_model_name_or_path)
        elif lora is not False and lora is not None:
            with RandomStream(seed).on(torch.device("cpu")):
                backbone = add_lora(backbone, lora)
        model = cls(backbone, tokenizer, score_all_labels=score_all_labels, autocast=autocast, compile=compile)
        model.base = base
        if autocast is not None and not stays_put(model.language_model):
            store_frozen(backbone, autocast)
        if gradient_checkpointing:
            checkpoint_layers(model.language_model)
        return model

    @property
    def language_model(self) -> Any:
        """The Transformers model inside, LoRA layers included."""
        get_base_model = getattr(self.backbone, "get_base_model", None)
        return self.backbone if get_base_model is None else get_base_model()

    @property
    def is_causal(self) -> bool:
        """Whether the model is causal, not sequence-to-sequence."""
        return not self.language_model.config.is_encoder_decoder

    @property
    def style(self) -> Style:
        """How streams are encoded for the model."""
        return "causal" if self.is_causal else "seq2seq"

    def adaptation(self, experience: Any) -> None:
        """Take the stream's answers from an experience (an Avalanche hook).

        :param experience: an experience of a benchmark of ``avalanche_aim.text``.
        :raises ValueError: for another kind of experience, one encoded for another kind of model, and tokens or lengths
            that the model does not have.
        """
        source = Source.of(experience)
        answers = getattr(experience, "answers", None if source is None else source.answers)
        if answers is None:
            raise ValueError(
                "LanguageModel expected an experience of a text benchmark (standard_cl, text_benchmark), got "
                f"{type(experience).__name__} without answers"
            )
        if answers.style != self.style:
            raise ValueError(f"the stream was encoded for a {answers.style} model, this one is {self.style}; build the "
                             "benchmark with this model's tokenizer")  # fmt: skip
        if answers is not self.answers:
            check_limits(self.language_model, answers)
            self._finding = None
        self.answers = answers
        self._passes = 0

    def forward(self, x: Tensor) -> Tensor:
        """Score answers.

        :param x: packed rows, a LongTensor of shape (B, L).
        :return: mean log-probabilities, shape (B, C). In eval mode they carry the exact matches along
            (:func:`~avalanche_aim.text.model.scoring.matches_of`).
        """
        return with_matches(self.answer_scores(x))

    @contextmanager
    def gold_scores(self) -> Iterator[None]:
        """Score the gold answers alone in eval mode too: enough for a loss, at the cost of one answer."""
        before, self._gold_only = self._gold_only, True
        try:
            yield
        finally:
            self._gold_only = before

    def answer_scores(self, x: Tensor) -> AnswerScores:
        """Score answers, and say in eval mode which gold answers greedy decoding would give.

        :param x: packed rows, a LongTensor of shape (B, L).
        """
        if self.answers is None:
            raise ValueError("LanguageModel does not know the stream's answers yet; call adaptation(experience) first")
        batch = unpack(x, pad_left=self.is_causal)
        for_loss = self.training or self._gold_only
        gold_only = for_loss and not self.score_all_labels
        columns, own = ([], True) if gold_only else self.answers.columns(batch.task, self.score_all_labels)
        blocks = Blocks.of([self.answers.tokens[c] for c in columns], batch, own)
        with self.mixed_precision(x.device):
            way = self.finding(x).way_of(batch.prompt.shape[1] + len(blocks.block))
            if way is Way.ALONE and is_sharded(self):
                raise ValueError("expected a sharded model that takes a batch in one pass, since all processes pass "
                                 "together, got one that is scored a label and length at a time; train it whole, with "
                                 "DDP")  # fmt: skip
            if self._to_compile:
                self._to_compile = False
                compile_layers(self.language_model, x.device)
            if len(columns) + own == 1 and way is Way.TOGETHER and not self.compiled:
                way = Way.APART  # the model's own mask, without which faster attention may run
            means, exact = score(self.language_model, batch, blocks, not for_loss, way)
        unscored = float("nan") if gold_only else float("-inf")
        out = means.new_full((len(x), len(self.answers)), unscored)
        out[:, columns] = means[:, : len(columns)]
        if own:
            target = torch.full_like(batch.target, len(self.answers) - 1) if columns else batch.target
            out = out.scatter(1, target[:, None], means[:, -1:])
        matches = None
        if exact is not None:
            matches = gold_matches(exact, columns, batch.target)
            if not self.score_all_labels:
                out = out.masked_fill(~self.answers.classes_of(batch.task), float("-inf"))
        elif gold_only and out.requires_grad:
            self._passes += 1
            # Each check waits for an accelerator, so after the first passes of an experience there are no more.
            if self._passes <= WATCHED_PASSES:
                out.register_hook(only_gold(batch.target))
        return AnswerScores(out, matches)

    def finding(self, x: Tensor) -> Finding:
        """Return how rows pass through the model, which is measured at the first call for a stream.

        :param x: packed rows, shape (B, L).
        """
        if self._finding is None or x.shape[1] > self._measured:
            self._measured = x.shape[1]
            with torch.compiler.set_stance("force_eager"):
                self._finding = find(self, x, self.answers.tokens if self.answers is not None else ())
        return self._finding

    def generate(
        self, prompts: str | Sequence[str], max_new_tokens: int = MAX_NEW_TOKENS, max_prompt_tokens: int = 512
    ) -> Any:
        """Answer prompts by greedy decoding, encoded as in training.

        :param prompts: one, or several.
        :param max_new_tokens: tokens after which an answer is cut.
        :param max_prompt_tokens: longer prompts are shortened in the middle.
        :return: the answer's text, or a list of texts.
        :raises TypeError: for something else than texts.
        """
        with torch.compiler.set_stance("force_eager"):  # each token is another length of the cache
            return answer(self, prompts, max_new_tokens, max_prompt_tokens)

    check_criterion = staticmethod(check_criterion)

    def mixed_precision(self, device: torch.device) -> torch.autocast:
        """Return the context that passes through the language model run in."""
        return torch.autocast(device.type, self.autocast, enabled=self.autocast is not None)

    def register_trainable(self) -> None:
        """Take the backbone's trainable weights for the model's, anew where they have been replaced (FSDP).

        :raises ValueError: for weights that are not in memory.
        """
        named = {n: p for n, p in self.backbone.named_parameters() if p.requires_grad}
        if hasattr(self.language_model, "hf_device_map") and any(p.is_meta for p in named.values()):  # not FSDP's
            raise ValueError(
                "expected trainable weights in memory, got some of layers that device_map offloads; give LoRA only the "
                'others (lora={"layers_to_transform": [...]}), or place those layers on a device'
            )
        self.trainable = nn.ParameterDict({name.replace(".", "/"): p for name, p in named.items()})

    def _apply(self, fn: Any, recurse: bool = True) -> "LanguageModel":
        # The trainable weights lie beside the layers that they belong to; FSDP places them itself.
        if stays_put(self.language_model) or is_sharded(self):
            return self
        self.backbone._apply(fn)
        return super()._apply(fn, recurse)

    @property
    def unregistered_modules(self) -> tuple[nn.Module, ...]:
        """What :func:`~avalanche_aim.training.isolation.set_mode` switches besides."""
        return (self.backbone,)

    def train(self, mode: bool = True) -> "LanguageModel":
        """Set train or eval mode, of the backbone too."""
        set_mode(self.backbone, mode)
        return super().train(mode)

    def __deepcopy__(self, memo: dict[int, Any]) -> "LanguageModel":
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        frozen = [p for p in self.backbone.parameters() if not p.requires_grad]
        for shared in (*frozen, *self.backbone.buffers(), self.tokenizer, self.answers):
            memo[id(shared)] = shared
        copy.__dict__.update({name: deepcopy(value, memo) for name, value in self.__dict__.items()})
        copy._to_compile = self.compiled  # torch leaves what is compiled out of copies
        return copy

    def save_pretrained(self, folder: str | Path, training: Training | None = None) -> None:
        """Save the adapter (or the whole model, without LoRA), the tokenizer and a model card.

        Plain ``peft`` or Transformers load it, and so does :meth:`from_pretrained`. Of several processes the first one
        writes; those of a sharded model all have to call this.

        :param folder: a new or empty folder, or one saved before, which is replaced once the new one is complete.
        :param training: what the model card is to say of tasks, scores and settings.
        :raises ValueError: for a folder with something else in it.
        :raises OSError: where it cannot be written; what was there before is then still there.
        """
        save_model(self, Path(folder), training or Training())

    def save_merged(
        self, folder: str | Path, training: Training | None = None, *, dtype: torch.dtype | None = None
    ) -> None:
        """Save a whole model with the adapter merged into its base, for Transformers without ``peft``.

        The base model is loaded a second time for it, in its own precision; this model stays as it is.

        :param folder: as for :meth:`save_pretrained`.
        :param training: as for :meth:`save_pretrained`.
        :param dtype: of the merged weights; that of the base model's files by default.
        :raises ValueError: without an adapter, for one that cannot be merged, and as for :meth:`save_pretrained`.
        :raises OSError: where it cannot be written, or the base model is gone.
        """
        save_merged(self, Path(folder), dtype, training or Training())
