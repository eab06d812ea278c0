"""What is asked wrongly of a program for a card is refused in one line."""

import pytest

from properties.twins import command_line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        *(
            (["--minutes", w], f"argument --minutes: must be a finite number above 0; got {w!r}")
            for w in ("nan", "inf")
        ),
        (["--minutes", "nan"], "argument --minutes: must be a finite number above 0; got 'nan'"),
        (["--minutes", "inf"], "argument --minutes: must be a finite number above 0; got 'inf'"),
        (["--minutes", "0"], "argument --minutes: must be a finite number above 0; got '0'"),
        (["--minutes=-1"], "argument --minutes: must be a finite number above 0; got '-1'"),
        (["--minutes", "nine"], "argument --minutes: must be a finite number above 0; got 'nine'"),
        (["--parts", "0"], "argument --parts: must be a whole number, 1 or more; got '0'"),
        (["--parts=-3"], "argument --parts: must be a whole number, 1 or more; got '-3'"),
        (["--parts", "1.5"], "argument --parts: must be a whole number, 1 or more; got '1.5'"),
    ],
)
def test_a_number_that_there_is_not_is_refused_in_one_line(words, says, capsys):
    """The argument, the rule, and what came."""
    parser = command_line.Parser(prog="python -m some.program")
    parser.add_argument("--minutes", type=command_line.minutes)
    parser.add_argument("--parts", type=command_line.at_least_one)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(words)
    assert capsys.readouterr().err == f"program: {says}\n"
