"""What a start costs: importing the library after Avalanche, and the time to the first training iteration.

Each repetition is a fresh process.
"""

import json
import subprocess
import sys
import time
from collections import defaultdict

from benchmarks.figures import Figure, Options

IMPORT_LIMIT = 0.3

CLOCK = """
import json, sys, time
marks, last = {}, time.perf_counter()
def mark(name):
    global last
    now = time.perf_counter()
    marks[name] = now - last
    last = now
"""

IMPORTS = f"""{CLOCK}
import avalanche; mark("avalanche")
import avalanche_aim; mark("library")
from avalanche_aim import AIMMergingPlugin; mark("plugin")
from avalanche_aim import LanguageModel, standard_cl; mark("text")
print(json.dumps(marks))
"""

FIRST_ITERATION = f"""{CLOCK}
from avalanche.training.plugins import SupervisedPlugin
from avalanche_aim import AIMMergingPlugin, LanguageModel, standard_cl
from avalanche_aim.experiments import Settings
from avalanche_aim.experiments.runner import make_strategy
mark("imports")
model = LanguageModel.from_pretrained(sys.argv[1]); mark("model")
stream = standard_cl(1, model.tokenizer).train_stream; mark("data")
class Stop(SupervisedPlugin):
    def after_training_iteration(self, strategy, **kwargs):
        mark("first iteration")
        strategy.stop_training()
make_strategy(model, Settings(), 0, [], plugins=[AIMMergingPlugin(), Stop()]).train(stream[0])
print(json.dumps(marks))
"""


def figures(options: Options) -> list[Figure]:
    """Start again and again; the first start of each kind fills the file cache and is not measured.

    :param options: with what to measure.
    """
    repeats = options.repeats(9)
    imports = _starts(IMPORTS, options.model, repeats)
    first = _starts(FIRST_ITERATION, options.model, repeats)
    rest = [sum(parts) for parts in zip(imports["plugin"], imports["text"], strict=True)]
    return [
        Figure("import avalanche_aim, after import avalanche", imports["library"], IMPORT_LIMIT, " s"),
        Figure("its plugin, language model and benchmarks, imported when first used", rest, unit=" s"),
        Figure("import avalanche", imports["avalanche"], unit=" s"),
        Figure("process start to the end of the first training iteration", first["all"], unit=" s"),
        *(Figure(f"… of which {name}", first[name], unit=" s") for name in ("imports", "model", "data")),
    ]


def _starts(program: str, model: str, repeats: int) -> dict[str, list[float]]:
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(repeats + 1):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", program, model], check=True, capture_output=True, text=True)
        whole = time.perf_counter() - start
        if number == 0:
            continue
        for name, value in json.loads(done.stdout.splitlines()[-1]).items():
            seconds[name].append(value)
        seconds["all"].append(whole)
    return seconds
