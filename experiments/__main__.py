"""`python -m experiments list | run | report | verify | generate | continue | pack | unpack`."""

import sys

from experiments.harness.endings import importing

with importing():
    from experiments.command import main

if __name__ == "__main__":
    sys.exit(main())
