"""`python -m experiments.language_model` is `python -m experiments run language_model`."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.command import script

if __name__ == "__main__":
    sys.exit(script("language_model"))
