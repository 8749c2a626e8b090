"""What imports leave out: who asks for help or a report waits for no library that trains."""

import json
import subprocess
import sys

STEPS = {
    "import avalanche_aim.__main__ as m; m.parser()": ["torch", "avalanche", "transformers"],
    "import avalanche_aim.report, avalanche_aim.experiments.store": [
        *("avalanche", "transformers", "peft", "matplotlib", "scipy"),
        *("avalanche_aim.plugin", "avalanche_aim.text", "avalanche_aim.experiments.runner"),
    ],
    "import avalanche_aim.merging, avalanche_aim.rehearsal, avalanche_aim.training.plain_loop": ["avalanche"],
}
"""One after the other in one process: what is imported, and what is not by then."""


def test_imports_leave_out_what_they_do_not_need() -> None:
    code = f"""
import json, sys
for step, left_out in json.loads({json.dumps(STEPS)!r}).items():
    exec(step)
    print(*(name for name in left_out if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
