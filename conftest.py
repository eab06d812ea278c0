# ruff: noqa: E402  (the environment is set before anything that reads it is imported)
"""Options, profiles and the closing table of the whole suite."""

import gc
import os
import signal

gc.disable()  # until the tests run: of what is imported and collected nothing goes, and looking is a third of the time
os.environ.setdefault("TRITON_INTERPRET", "1")  # before the first import of triton, wherever that may come
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")  # workers share the cores

from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import InvalidArgument

pytest_plugins = ["properties.passed"]

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
_COMMON = {"deadline": None, "database": None, "suppress_health_check": _SLOW}
_PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
PROFILES = {
    "dev": {"max_examples": 10, "phases": _PHASES},
    "ci": {"max_examples": 40, "phases": _PHASES, "derandomize": True},
    "mutants": {"max_examples": 6, "phases": (Phase.generate,), "derandomize": True},
    "deep": {"max_examples": 1000, "phases": (*_PHASES, Phase.target)},
}
for _name, _profile in PROFILES.items():
    settings.register_profile(_name, **_profile, **_COMMON)


def pytest_addoption(parser):
    parser.addoption(
        "--subject",
        action="append",
        metavar="MODULE[:ATTR]",
        help="what the laws judge: a built-in name, MODULE[:ATTR] or path/to/file.py[:NAME] with a subject, a function "
        "lstm or rnn, course-style functions, or a torch.nn.Module; repeatable (default: the twins in all their forms, "
        "and torch_nn)",
    )
    parser.addoption(
        "--in-process",
        action="store_true",
        help="runs subjects in the tests' own process: for debuggers and mutation testing; a crash then ends the run",
    )


def pytest_configure(config):
    from properties.child import isolated
    from properties.loading import judged_by_default, load_all

    load_profile(config.getoption("--hypothesis-profile") or "ci")
    load = load_all if config.getoption("--in-process") else isolated
    try:
        config.subjects = [
            s for word in dict.fromkeys(config.getoption("--subject") or judged_by_default()) for s in load(word)
        ]
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    for subject in () if config.getoption("--subject") or config.getoption("--in-process") else config.subjects:
        subject.share *= BESIDE.get(subject.name, 1)  # of this run's description of it; a subject itself has none


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop():
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def load_profile(name):
    """Raises UsageError: there is no such profile; a line that names those that there are."""
    try:
        settings.load_profile(name)
    except InvalidArgument:
        rule = f"--hypothesis-profile must be one of {', '.join(PROFILES)}"
        raise pytest.UsageError(f"{rule}; got {name!r}.") from None


BESIDE = {"torch_nn": 0.25}
"""A subject's part of its examples where all of ours are judged: torch.nn guards against false alarms there, for which
reports/instrument judges 100,000 cases."""


def pytest_unconfigure(config):
    for subject in getattr(config, "subjects", ()):
        if hasattr(subject, "process"):
            subject.process.stop()


@pytest.fixture
def hears_signals():
    """A signal ends what a test starts, also where this run of tests ignores it, as behind a shell's & or nohup."""
    heard = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL, signal.SIGQUIT: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def pytest_report_header(config):
    from properties.loading import NEEDS, OUR_FORMS, judged_by_default

    left = [] if config.getoption("--subject") else sorted(set(OUR_FORMS) - set(judged_by_default()))
    absent = [f"not judged: {name}, since {NEEDS[name]} is not installed" for name in left]
    return "\n".join([subjects_line(config), *absent])


def subjects_line(config):
    return "subjects: " + ", ".join(f"{s.name} ({s.version})" if s.version else s.name for s in config.subjects)


def pytest_generate_tests(metafunc):
    from impl.spec import DTYPES

    found = getattr(metafunc.function, "law", None)
    if found is None:
        return
    cases = [
        pytest.param(
            subject, cell, dtype, id=f"{subject.name}-{cell}-{dtype}", marks=_skips(found, subject, cell, dtype)
        )
        for cell, dtype in product(found.cells, DTYPES)  # subjects in turn on one case: the referee judges it once
        for subject in metafunc.config.subjects
        if cell in subject.cells and dtype in subject.dtypes
    ]
    metafunc.parametrize(("subject", "cell", "dtype"), cases)


DEAR = 0.01  # of a profile's examples: less than one of forty, whose least is one


def _skips(law, subject, cell, dtype):
    from impl.spec import DTYPES

    lacking = law.lacking(subject, cell)
    reason = f"{subject.name} does not declare that it {' and '.join(lacking)}"
    if not lacking and law.share * subject.share < DEAR and (cell, dtype) != (law.cells[0], DTYPES[0]):
        reason = f"dear to {subject.name}: judged for {law.cells[0]} in {DTYPES[0]}"
        return [pytest.mark.skip(reason=reason)]
    return [pytest.mark.skip(reason=reason)] if lacking else []


def pytest_collection_modifyitems(config, items):
    """With a subject of someone else's, what is tested is that: tests of the suite itself say nothing of it."""
    from properties.loading import OUR_FORMS, OWN

    if set(config.getoption("--subject") or ()) - set(OWN | OUR_FORMS):
        config.hook.pytest_deselected(items=[item for item in items if _law(item) is None])
        items[:] = [item for item in items if _law(item) is not None]


def _law(item):
    """The law whose test it is, or None."""
    return getattr(getattr(item, "function", None), "law", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    from properties.laws import TALLY, Broken, NotRun

    TALLY.reset()
    try:
        return (yield)
    except NotRun as lost:
        pytest.skip(str(lost))
    except Broken as broken:
        _expected(item, broken)
        raise
    finally:
        law = _law(item)
        if law is not None:
            item.user_properties.append(("law", [law.name, TALLY.cases, TALLY.worst, f"{item.nodeid} {TALLY.digest}"]))


def _expected(item, broken):
    """A break of an outside library that is recorded with its reason is no news."""
    from properties.known import known

    law, found = _law(item), getattr(item, "callspec", None)
    if law is not None and found is not None:
        subject, cell, dtype = (found.params[name] for name in ("subject", "cell", "dtype"))
        for one in known():
            if one.explains(subject.name, broken.law or law.name, cell, dtype):
                pytest.xfail(f"known break {one.name}: {one.sentence}")


def pytest_terminal_summary(terminalreporter):
    from properties.table import lines

    reports = [report for kind in ("passed", "failed", "xfailed") for report in terminalreporter.getreports(kind)]
    table = lines([(r.failed, *p) for r in reports for p in r.user_properties if p[0] in ("law", "kill")])
    if table:
        terminalreporter.section("laws")
        for line in table:
            terminalreporter.write_line(line)
