"""Where models come from: a local folder or the hub. Offline."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from avalanche_aim.text.model import sources
from avalanche_aim.text.model.sources import DEFAULT_MODEL, resolve_model

REPO_ROOT = Path(sources.__file__).parents[3]
pytestmark = pytest.mark.usefixtures("own_outside")


# Local folders


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


def test_a_pipe_in_a_model_folder_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model.safetensors: expected a file .* got a pipe"):
        resolve_model(str(tmp_path))


def test_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    with pytest.raises(ValueError, match=r"Expected a model folder.*model\.gguf"):
        resolve_model("model.gguf")


@pytest.mark.parametrize("name", ["runs/1/last", "a model", ""])
def test_neither_path_nor_id(name: str, hub_down: list[tuple[str, float]]) -> None:
    with pytest.raises(ValueError, match="which is neither: check the spelling"):
        resolve_model(name)
    assert hub_down == []


# The hub


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


@pytest.mark.parametrize(
    "index", ["", "{", "[]", "{}", '{"weight_map": [1]}', '{"weight_map": {"a": []}}', "[" * 100_000]
)
def test_a_damaged_index_in_the_cache_is_no_model(
    tmp_path: Path, hub_down: list[tuple[str, float]], index: str
) -> None:
    cache_in_hub(tmp_path, "a/b", {"config.json": "{}", "model.safetensors.index.json": index})
    with pytest.raises(ConnectionError, match="a/b"):
        resolve_model("a/b")


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

    def slow(url: str, timeout: float) -> Any:
        name_is_found.wait(5)
        return SimpleNamespace(commit_hash="abc")

    monkeypatch.setattr(sources, "get_hf_file_metadata", slow)
    with pytest.raises(ConnectionError, match=r"no answer in 0\.1 s"):
        resolve_model("a/model")
    name_is_found.set()


def test_refused_connection_by_hf_endpoint(tmp_path: Path) -> None:
    code = "from avalanche_aim.text.model import sources; sources.resolve_model('a/model')"
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
