"""`python -m experiments.gradient_flow` is `python -m experiments run gradient_flow`."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.command import script

if __name__ == "__main__":
    sys.exit(script("gradient_flow"))
