"""`python -m experiments.verification` is `python -m experiments run verification`."""

import sys

from experiments.command import script

if __name__ == "__main__":
    sys.exit(script("verification"))
