"""Makes the runs of a comparison as tasks of a Ray cluster (docs/cluster.md)."""

import logging
import os
import socket
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from . import worker
from .comparison import Comparison
from .result import Failure, Key
from .where import one_line

ANSWER_SECONDS, CHECK_SECONDS, STOP_SECONDS = 10, 300, 10
"""Until an address answers, a machine has imported this library, and what runs is stopped."""
MOST_PER_GPU = 1000
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of HTTP/2 says first (RFC 9113, section 3.4); a server answers with a frame of the same type, 4."""


class RayCluster(ExitStack):
    """Makes runs on a Ray cluster, as many at a time as it has room for: an executor for :class:`Comparison`.

    A run whose worker is lost is tried once more, and resumes from its checkpoint. Where this process is connected to
    Ray already, that cluster is used, and stays.

    :param folder: of the comparison, or of a tuning; all machines see it, and the working directory.
    :param address: of a cluster (``host:6379``), or "auto" for the one that runs on this machine; by default
        ``RAY_ADDRESS``, or a cluster of this machine alone that is started and ended here.
    :param device: "cuda" or "cpu": what runs are trained on; on the CPU a run takes one core.
    :param runs_per_gpu: how many runs share a GPU; 1 by default.
    :param prepare: is called once in each worker, to register strategies, say.
    :raises ValueError: for another device or number; on entering, if the cluster lacks the device, or a machine has
        other versions or does not see the folders.
    :raises ConnectionError: on entering, if no cluster answers.
    """

    def __init__(self, folder: Path, address: str | None = None, device: str = "cpu", runs_per_gpu: int | None = None,
                 prepare: Callable[[], None] = lambda: None) -> None:  # fmt: skip
        super().__init__()
        if device not in ("cpu", "cuda"):
            raise ValueError(f"device: expected cpu or cuda on Ray, which chooses a run's GPU, got {device!r:.80}")
        if runs_per_gpu is not None and device == "cpu":
            raise ValueError("runs_per_gpu: expected none on cpu, where a run takes a core; leave it out, or choose "
                             "the device cuda")  # fmt: skip
        if runs_per_gpu is not None and not 1 <= runs_per_gpu <= MOST_PER_GPU:
            raise ValueError(f"runs_per_gpu: expected an integer from 1 to {MOST_PER_GPU}, got {runs_per_gpu}")
        self.folder, self.prepare, self.device = folder, prepare, device
        self.address = address or os.environ.get("RAY_ADDRESS") or "local"
        self.per_gpu = runs_per_gpu or 1
        self._running: dict[Any, Hashable] = {}
        self._shown: dict[Any, Any] = {}

    def __enter__(self) -> "RayCluster":
        with ExitStack() as stack:
            if not ray.is_initialized():
                stack.callback(ray.shutdown)
                _connect(self.address)
            stack.callback(self._stop)
            self._places = _start_places()
            self._place = ray.put(worker.Place.of(self.folder, self.prepare))
            self.machines, self.slots = self._check()
            self.push(stack.pop_all())
        return self

    def __call__(self, comparison: Comparison, keys: list[Key], bar: Any) -> list[Key]:
        """Make runs.

        :return: those that other commands are making.
        """
        folder, checkpoints = comparison.store.folder, comparison.checkpoints
        job = ray.put(worker.Job(comparison.configuration, folder, checkpoints, self._place))
        if comparison.configuration.fwt:
            self._measure_alone(comparison, job, keys, bar)
        turn = comparison.configuration.orders.index  # a worker keeps the stream of its last order
        calls = {key: (key, comparison.references.get((key.seed, key.order)))
                 for key in sorted(keys, key=lambda key: turn(key.order))}  # fmt: skip
        sizes = {key: comparison.examples(key) for key in keys}
        elsewhere = set()
        for key, made in self._each(worker.make, job, calls, bar, sizes):
            if isinstance(made, RayError):
                comparison.end(key, Failure(key.strategy, key.order, key.seed, _reason(made), str(made)), bar)
                continue
            for line in made.lines:
                bar.write(line)
            for text, category, file, number in made.warned:
                warnings.warn_explicit(text, category, file, number, registry=self._shown)
            if made.ours:
                comparison.ended[key] = made.ended
                comparison.problems += made.problems
                comparison.unsaved |= made.unsaved
                comparison.save(bar)
            else:
                elsewhere.add(key)
        bar.update(-sum(sizes[key] for key in elsewhere))
        return [key for key in keys if key in elsewhere]

    def _measure_alone(self, comparison: Comparison, job: Any, keys: list[Key], bar: Any) -> None:
        """Measure the references of runs, order by order: what is kept of one need not be measured for the next."""
        places = dict.fromkeys((key.seed, key.order) for key in keys)
        missing = [place for place in places if place not in comparison.references]
        for order in dict.fromkeys(order for _, order in missing):
            seeds = [seed for seed, same in missing if same == order]
            tasks = range(len(comparison.streams[order].train_stream))
            calls = {f"task {task} alone, order {order}, seed {seed}": (seed, order, task)
                     for seed in seeds for task in tasks}  # fmt: skip
            scores: dict[tuple[int, str, int], float] = {}
            for name, score in self._each(worker.measure, job, calls, bar, {}):
                if isinstance(score, RayError):
                    raise score
                scores[calls[name]] = score
            for seed in seeds:
                comparison.references[seed, order] = [scores[seed, order, task] for task in tasks]

    def _each(self, function: Callable[..., Any], job: Any, calls: Mapping[Any, tuple[Any, ...]], bar: Any,
              sizes: Mapping[Any, int]) -> Iterator[tuple[Any, Any]]:  # fmt: skip
        """Call a function in workers; yields each call's name and what it returned or raised, as it ends."""
        gpus = 10_000 // self.per_gpu / 10_000 if self.device == "cuda" else 0  # Ray counts in ten thousandths
        # Ray's own retries would not tell that a worker was lost, and have no end where memory runs out.
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(function)
        begin, places, again = bar.n, dict[str, int](), set[Hashable]()
        self._running = {task.remote([job], self._places, *call): name for name, call in calls.items()}
        self._places.forget.remote()
        news = self._places.all.remote()
        while self._running:
            ended, _ = ray.wait(list(self._running), timeout=1.0)
            if ray.wait([news], timeout=0)[0]:  # never waited for: runs go on without
                with suppress(RayError):
                    places = ray.get(news)
                news = self._places.all.remote()
            for call in ended:
                name = self._running.pop(call)
                try:
                    outcome = ray.get(call)
                except RayError as error:
                    if not isinstance(error, RayTaskError) and name not in again:
                        again.add(name)
                        self._running[task.remote([job], self._places, *calls[name])] = name
                        bar.write(f"{name}: its worker was lost ({_reason(error)}); trying once more")
                        continue
                    outcome = error
                yield name, outcome
            left = set(self._running.values())
            done = sum(places.get(str(name), 0) if name in left else size for name, size in sizes.items())
            bar.set_description_str(f"{len(calls) - len(left)}/{len(calls)} have ended", refresh=False)
            bar.update(begin + done - bar.n)

    def _check(self) -> tuple[int, int]:
        """Let every machine say whether it can take part; returns their number, and that of runs at a time."""
        kind, most = ("GPU", self.per_gpu) if self.device == "cuda" else ("CPU", 1)
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get(kind)]
        if not nodes:
            raise ValueError(f"device: expected a cluster with {kind}s for {self.device}, got one without")
        # Not kept for runs on a GPU: this process begins without one, and torch does not look again.
        check = ray.remote(num_cpus=0, max_retries=0, max_calls=int(kind == "GPU"))(worker.take_part)
        there = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
        calls = [check.options(scheduling_strategy=only).remote([self._place]) for only in there]
        for node, call in zip(nodes, calls, strict=True):
            try:
                ray.get(call, timeout=CHECK_SECONDS)
            except RayError as error:
                raise ValueError(f"ray: {node['NodeManagerHostname']} can't take part ({_reason(error)})") from None
        return len(nodes), int(sum(node["Resources"][kind] * most for node in nodes))

    def _stop(self) -> None:
        """End what runs, so that its claims end too."""
        for call in self._running:
            ray.cancel(call, force=True)
        if self._running:
            ray.wait(list(self._running), num_returns=len(self._running), timeout=STOP_SECONDS)
        self._running = {}


def _connect(address: str) -> None:
    alone: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        if address not in ("local", "auto"):
            _check_answer(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **alone)
    except Exception as error:  # Ray raises that itself
        wanted = "to start Ray here" if alone else "the address of a cluster (host:6379)"
        token = "" if alone else "; RAY_AUTH_MODE=token shows it the token that it may want"
        raise ConnectionError(f"ray: expected {wanted}, got {address!r:.80} ({one_line(error)}{token})") from error


def _start_places() -> Any:
    """Start what knows how far runs are; its class is made here so that its process need not import this library."""

    class Places:
        def __init__(self) -> None:
            self.known: dict[str, int] = {}

        def tell(self, run: str, place: int) -> None:
            self.known[run] = place

        def forget(self) -> None:
            self.known.clear()

        def all(self) -> dict[str, int]:
            return self.known

    return ray.remote(num_cpus=0)(Places).remote()


def _check_answer(address: str) -> None:
    """Refuse an address where no server of HTTP/2 answers: Ray itself would try for a quarter of an hour."""
    url = urlsplit(address if "://" in address else f"//{address}")
    if not url.hostname or not url.port:
        raise ValueError("no host and port")
    with socket.create_connection((url.hostname, url.port), ANSWER_SECONDS) as connection:
        connection.sendall(GREETING)
        answer = connection.recv(4)
    if answer[3:] != GREETING[-6:-5] and not os.environ.get("RAY_USE_TLS"):
        raise ValueError("something else answers there")


def _reason(error: RayError) -> str:
    """What went wrong, in one line: in our code, or the first that Ray says."""
    if isinstance(error, RayTaskError):
        return one_line(error.cause)
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
