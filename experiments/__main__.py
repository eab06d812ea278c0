"""`python -m experiments list | run | report | verify | generate | continue | pack | unpack`."""

import sys

from experiments.harness.endings import stopped, tell

try:
    from experiments.command import main
except ModuleNotFoundError as error:
    if str(error.name).split(".")[0] in ("impl", "properties", "experiments"):
        raise
    where = "`make report` installs what is needed into .venv (README.md: also without make)"
    line = f"experiments: {sys.executable} has no module {error.name!r}. {where}; then type .venv/bin/python."
    tell(line)
    sys.exit(2)
except KeyboardInterrupt:
    sys.exit(stopped("experiments"))

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # while the line is read
        sys.exit(stopped("experiments"))
