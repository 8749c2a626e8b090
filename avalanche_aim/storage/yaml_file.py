"""Plain data from a YAML file that somebody else may have written."""

from pathlib import Path
from typing import Any

DEPTH = 20
"""How deep lists and mappings may be nested; settings need three levels."""


def read_yaml(path: Path, what: str) -> dict[Any, Any]:
    """Read a mapping from a YAML file.

    Tags and aliases are refused: no setting needs them, a tag can ask for what YAML's reader has no answer to, and a
    few lines of aliases can stand for more values than fit into memory. Nothing in a file is ever executed.

    :param what: what it holds, with an example, for the error message: "settings such as 'epochs: 3'".
    :raises ValueError: for a file that is no such mapping.
    :raises OSError: for one that can't be read.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        _check_plain(text)
        values = yaml.safe_load(text)
    except OSError as error:
        raise OSError(f"{path}: expected a file of settings, got {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date such as 2026-99-99
        raise ValueError(f"{path}: expected YAML: {' '.join(str(error).split())[:400]}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected {what}, got {type(values).__name__}")
    return values


def _check_plain(text: str) -> None:
    """Refuse tags, aliases, and a key that stands there twice."""
    import yaml

    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:  # also because YAML's reader takes minutes over thousands of brackets
            raise ValueError(f"expected at most {DEPTH} levels, got more in line {event.start_mark.line + 1}")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            line = event.start_mark.line + 1
            raise ValueError(
                f"expected plain values, got a tag (!) or an alias (*) in line {line}; write the value out"
            )
    waiting = [yaml.compose(text, yaml.SafeLoader)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            twice = [key for key in keys if keys.count(key) > 1]
            if twice:
                raise ValueError(f"expected each setting once, got {twice[0]!r:.80} twice; remove one")
            waiting.extend(value for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
