"""What a start costs: reading and tokenising all tasks of a folder, then the same again from the cache.

python -m benchmarks.encoding --data DIR --tokenizer tiny
python -m benchmarks.encoding --data DIR --tokenizer MODEL_FOLDER --repeats 3
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import spread

TARGETS = {"first": 20.0, "second": 3.0}


def main(argv: list[str] | None = None) -> int:
    """Start several times in fresh processes, and print the figures."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, required=True, help="a folder with train, dev and test; all its tasks are read")
    p.add_argument("--tokenizer", default="tiny", help='"tiny", "tiny-t5", a folder or a Hugging Face id')
    p.add_argument("--max-prompt-tokens", type=int, default=512, help="longer prompts are shortened")
    p.add_argument("--repeats", type=int, default=3, help="pairs of a first and a second start")
    p.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    arguments = p.parse_args(argv)
    if arguments.start:
        return _start(arguments)
    seconds: dict[str, list[float]] = {"first": [], "second": []}
    processor: dict[str, list[float]] = {"first": [], "second": []}
    megabytes: dict[str, list[float]] = {"first": [], "second": []}
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as cache:
            for which in seconds:
                command = [sys.executable, "-m", "benchmarks.encoding", *(argv or sys.argv[1:]), "--start", cache]
                *_, line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
                duration, busy, memory, content = line.split(" ", 3)
                seconds[which].append(float(duration))
                processor[which].append(float(busy))
                megabytes[which].append(float(memory))
    print(content)
    for which, target in TARGETS.items():
        print(f"{which} start: {spread(seconds[which], ' s')}, at most {target:.0f} wanted; "
              f"of the processor {spread(processor[which], ' s')}; "
              f"peak memory over the imports {spread(megabytes[which], ' MB')}, at most 300 wanted")  # fmt: skip
    return 0


def _start(arguments: argparse.Namespace) -> int:
    from transformers import AutoTokenizer

    from avalanche_aim.text import read_tasks, text_benchmark
    from avalanche_aim.text.model.tiny import TINY, tiny_tokenizer

    name = arguments.tokenizer
    tokenizer = tiny_tokenizer(TINY[name]) if name in TINY else AutoTokenizer.from_pretrained(name)
    names = sorted(path.stem.removesuffix("_T5") for path in (arguments.data / "train").glob("*.json"))
    before, start, busy = _resident(), time.perf_counter(), time.process_time()
    tasks = read_tasks(arguments.data, names)
    benchmark = text_benchmark(tasks, tokenizer, arguments.max_prompt_tokens, cache=arguments.start)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    rows = {split: sum(len(e.dataset) for e in stream) for split, stream in benchmark.streams.items()}
    width = len(benchmark.train_stream[0].dataset[0][0])
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"{seconds} {busy} {peak - before} {len(tasks)} tasks, rows {rows}, row width {width}, "
          f"{benchmark.truncated} prompts shortened")  # fmt: skip
    return 0


def _resident() -> float:
    """Resident megabytes now; the peak so far where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    raise SystemExit(main())
