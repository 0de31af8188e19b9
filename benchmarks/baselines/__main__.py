"""Read pictures with a baseline: python -m benchmarks.baselines NAME [OPTION] < PATHS

Prints for each path on stdin a line of JSON: the digit read there, null if none is.
"""

import json
import sys
from importlib import import_module

read = import_module(f"benchmarks.baselines.{sys.argv[1]}.run").read
for line in sys.stdin:
    print(json.dumps(read(line.rstrip("\n"))), flush=True)
