"""What a model does not have, said before training."""

from typing import Any

from torch import nn

from ..stream.encoding import AnswerSpace
from .scoring import decoder_start


def check_limits(model: Any, answers: AnswerSpace) -> None:
    """Refuse a stream with tokens or lengths that a model does not have."""
    embedding = model.get_input_embeddings()
    tokens = getattr(embedding, "num_embeddings", None)
    if tokens is not None and answers.tokens_end > tokens:
        raise ValueError(
            f"the stream has token {answers.tokens_end - 1}, the model only 0 to {tokens - 1}: tokens were added "
            "to its tokenizer, or it is another model's; call model.resize_token_embeddings(len(tokenizer)) "
            "before LoRA, or build the stream with the model's own tokenizer"
        )
    longest, prompt, answer = answers.longest
    needed = longest - 1 if not model.config.is_encoder_decoder else max(prompt, answer)
    room = positions(model)
    if room is not None and needed > room:
        raise ValueError(
            f"the stream has texts of {needed} tokens (prompts of up to {prompt}, answers of up to {answer}), the "
            f"model {room} positions; build the stream with max_prompt_tokens={max(1, room - answer)} or fewer"
        )


def positions(model: Any) -> int | None:
    """Return how many learned positions a model has, or None where it computes them."""
    settings = model.config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "n_ctx", "max_target_positions")
    said = {getattr(settings, name) for name in names if isinstance(getattr(settings, name, None), int)}
    tokens = model.get_input_embeddings()
    tables = {
        module.num_embeddings for module in model.modules() if isinstance(module, nn.Embedding) and module is not tokens
    }
    # Some tables have a few rows more than positions, which they begin at 1 or 2.
    found = [number for number in said if any(number <= rows <= number + 2 for rows in tables)]
    return min(found, default=None)


def check_start(model: Any) -> None:
    """Refuse a sequence-to-sequence model that says no token for its decoder to start with."""
    if model.config.is_encoder_decoder and decoder_start(model) is None:
        raise ValueError(
            f"expected a model that says which token its decoder starts with, got {model.config.model_type}, whose "
            "decoder_start_token_id is none; set model.config.decoder_start_token_id (for mBART the language's: "
            'tokenizer.convert_tokens_to_ids("en_XX"))'
        )
