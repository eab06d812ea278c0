"""`python -m experiments.instrument` is `python -m experiments run instrument`."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.command import script

if __name__ == "__main__":
    sys.exit(script("instrument"))
