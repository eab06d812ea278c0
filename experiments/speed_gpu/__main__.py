"""`python -m experiments.speed_gpu` is `python -m experiments run speed_gpu`."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.command import script

if __name__ == "__main__":
    sys.exit(script("speed_gpu"))
