"""`python -m experiments.memory.grid` runs the grid and chooses from it."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.memory.grid.choose import main

if __name__ == "__main__":
    sys.exit(main())
