"""`python -m experiments list | run | report | verify | generate | continue`."""

import sys

from experiments.command import main

if __name__ == "__main__":
    sys.exit(main())
