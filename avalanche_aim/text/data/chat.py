"""Chats as examples: all but the last message through the tokenizer's chat template, the last one as the answer."""

from pathlib import Path
from typing import Any

from .tasks import TextExample

_ROLES = {"human": "user", "gpt": "assistant"}
"""The names of ShareGPT's records, whose messages are ``{"from", "value"}``."""


def chat_example(where: Path | str, row: int, messages: Any, tokenizer: Any) -> TextExample:
    """Make an example of a chat that ends with what the assistant says.

    :param messages: a list of ``{"role", "content"}``, or of ``{"from", "value"}``.
    :param tokenizer: the model's, whose chat template is used.
    :raises ValueError: for anything else, or without a chat template.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        got = "a tokenizer without one" if tokenizer is not None else "no tokenizer"
        raise ValueError(
            f"{where}: expected a tokenizer with a chat template for its messages, got {got}; give that of a model "
            "tuned for chats, or write prompts and answers instead"
        )
    turns = [_turn(where, row, message) for message in messages] if isinstance(messages, (list, tuple)) else []
    if len(turns) < 2 or turns[-1]["role"] != "assistant":
        raise ValueError(
            f"{where}, record {row}: expected messages of which the last is the assistant's, got {messages!r:.80}; "
            "correct or drop the record"
        )
    try:
        prompt = tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever the template's own code raises
        raise ValueError(
            f"{where}, record {row}: expected messages that the chat template takes, got {error!s:.200}; correct or "
            "drop the record"
        ) from error
    begin = tokenizer.bos_token
    if begin and tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]:  # it will be put there again
        prompt = prompt.removeprefix(begin)
    return TextExample(prompt, (turns[-1]["content"],))


def _turn(where: Path | str, row: int, message: Any) -> dict[str, str]:
    if isinstance(message, dict):
        role = message.get("role", message.get("from"))
        content = message.get("content", message.get("value"))
        if isinstance(role, str) and isinstance(content, str):
            return {"role": _ROLES.get(role, role), "content": content}
    raise ValueError(
        f"{where}, record {row}: expected messages with role and content, both texts; got {message!r:.80}; correct or "
        "drop the record"
    )
