"""`python -m experiments list | run | report | verify | generate | continue | pack | unpack`."""

import sys

try:
    from experiments.command import main
except ModuleNotFoundError as error:
    if str(error.name).split(".")[0] in ("impl", "properties", "experiments"):
        raise
    where = "`make report` installs what is needed into .venv (README.md: also without make)"
    line = f"experiments: {sys.executable} has no module {error.name!r}. {where}; then type .venv/bin/python."
    print(line, file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
