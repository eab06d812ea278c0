"""`python -m experiments.language_model.rates` searches, and writes rates.csv and rates.json beside itself."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.language_model.rates.search import main

if __name__ == "__main__":
    sys.exit(main())
