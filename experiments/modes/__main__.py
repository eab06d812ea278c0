"""`python -m experiments.modes` is `python -m experiments run modes`."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.command import script

if __name__ == "__main__":
    sys.exit(script("modes"))
