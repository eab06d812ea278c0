"""`python -m experiments.memory` is `python -m experiments run memory`."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.command import script

if __name__ == "__main__":
    sys.exit(script("memory"))
