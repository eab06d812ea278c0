"""`python -m experiments.speed` is `python -m experiments run speed`."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.command import script

if __name__ == "__main__":
    sys.exit(script("speed"))
