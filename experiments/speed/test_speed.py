"""Speed: what is timed is right, what is recorded is paired, and what is reported follows from the records."""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
import weakref
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments import command
from experiments.harness import catalogue, figures, workers
from experiments.harness.sweep import Options
from experiments.speed import analysis, child, measure, numbers, sweep, usual
from experiments.speed.case import Case, given
from experiments.speed.contenders import CONTENDERS, joined, missing
from experiments.speed.targets import FORMS, SIZES, TARGETS
from impl.numpy_twin import scan
from impl.spec import Parameters
from properties.record import COLUMNS

HERE = [name for name, contender in CONTENDERS.items() if contender.device == "cpu" and name != "products"]


def case(cell, E=1, dtype="float32"):
    """A small case with four different sizes."""
    return Case(cell, E, T=6, B=3, D=4, H=8, dtype=dtype)


def agree(found, wanted):
    """h and every gradient agree to float32's rounding over a few steps."""
    for mine, other in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)


# What is timed


@pytest.mark.parametrize("E", [1, 3])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("name", [name for name in HERE if name != "numpy_scan"])
def test_every_contender_gives_the_values_and_gradients_of_the_plain_twin(name, cell, E):
    """So what is timed is the same computation, done right."""
    if missing(name) or cell not in CONTENDERS[name].cells:
        pytest.skip(missing(name) or f"it has no {cell}")
    small = case(cell, E)
    arrays = given(small)
    work, plain = (CONTENDERS[one].prepare(small, arrays, 2) for one in (name, "numpy_scan"))
    work()
    agree(joined(work()), joined(plain()))


def test_the_usual_lstm_has_the_gradient_of_the_twin():
    """In its own layout, W (D+H, 4H), one product a step, and to float64's rounding."""
    params, x, dh = given(case("lstm", dtype="float64"))
    W, b = usual.weights(params)
    h, steps = usual.forward(W, b, x)
    dW, db = usual.backward(W, steps, dh)
    run = scan.forward("lstm", params, x)
    gradient = scan.backward("lstm", params, run.cache, dh, None).params
    np.testing.assert_allclose(h, run.states.h, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dW.T, np.concatenate(gradient[:2], 1), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(db, gradient.bias_ih, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_loop_of_the_cuda_graph_is_right_without_a_card(cell):
    """What a card would capture gives, on the processor, the twin's values and gradients."""
    torch = pytest.importorskip("torch")
    from experiments.speed import cuda

    arrays = given(case(cell, 3))
    params, x, dh = Parameters(*map(torch.as_tensor, arrays.params)), *map(torch.as_tensor, arrays[1:])
    loop = {"rnn": cuda.rnn_loop, "lstm": cuda.lstm_loop}[cell]
    agree(joined(loop(params, x, dh)), joined(CONTENDERS["numpy_scan"].prepare(case(cell, 3), arrays, 1)()))


def test_what_a_graph_reads_is_held_for_as_long_as_the_graph(monkeypatch):
    """Without a card: of a work that stands in a graph the inputs live on, though nobody else holds them."""
    torch = pytest.importorskip("torch")
    from experiments.speed import cuda

    beside = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: beside)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: beside)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: None))
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: nullcontext())
    x = torch.ones(3)
    once, seen = cuda.replayed(lambda x=x: x + 1), weakref.ref(x)
    del x
    gc.collect()
    assert seen() is not None and once().tolist() == [2, 2, 2]
    del once
    gc.collect()
    assert seen() is None


@pytest.mark.gpu
@pytest.mark.skipif(missing("cuda_fused") != "", reason="needs a CUDA device")
@pytest.mark.parametrize("E", [1, 3])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_on_a_card_all_contenders_side_by_side_give_the_plain_twins_values(cell, E):
    """As a group has them: all made ready, of two sizes, before the first is measured; what is free is overwritten."""
    import torch

    exact = [name for name in CONTENDERS if name.startswith("cuda_") and not name.endswith(("bf16", "tf32x3"))]
    cases = [case(cell, E), case(cell, E)._replace(T=9, D=32, H=32)]
    entries = [measure.Entry("card", name, 1, one) for one in cases for name in exact]
    runners = [CONTENDERS[entry.contender].prepare(entry.case, given(entry.case), 1) for entry in entries]
    torch.cuda.empty_cache()
    garbage = [torch.full((n,), math.nan, device="cuda") for n in (2**10, 2**14, 2**18, 2**22) for _ in range(64)]
    for entry, work in zip(entries, runners, strict=True):
        work()
        agree(joined(work()), joined(CONTENDERS["numpy_scan"].prepare(entry.case, given(entry.case), 1)()))
    assert all(a.isnan().all() for a in garbage)


def test_every_round_has_every_entry_once_and_begins_with_another():
    """Neither place nor time favours anyone."""
    rounds = [[n for r, n in measure.in_turn(4, 8) if r == round_] for round_ in range(8)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in rounds)
    assert [order[0] for order in rounds] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_slowdown_is_measured_and_memory_is_seen(monkeypatch):
    """A contender that also sorts, and holds 40 MB, takes longer by round and adds as much."""
    small = case("rnn")
    fast = CONTENDERS["numpy_fast"]

    def slowed(sizes, arrays, threads):
        work = fast.prepare(sizes, arrays, threads)
        return lambda: (np.sort(np.ones(5_000_000)[::-1]), work())

    monkeypatch.setitem(CONTENDERS, "slowed", fast._replace(prepare=slowed))
    entries = [measure.Entry("sizes", name, 1, small) for name in ("numpy_fast", "slowed")]
    one, two = measure.measured(measure.ready(entries, lambda *_: None), 3, lambda *_: None)
    assert (np.divide(two["us_per_step"], one["us_per_step"]) > 2).all()
    assert one["blas_threads"] >= 1 and one["calls"] >= 1
    assert math.isnan(two["peak_bytes"]) or 30e6 < two["peak_bytes"] < 120e6


# What is run


def test_groups_belong_to_their_machine_and_to_the_code(monkeypatch):
    """Another processor, number of cores, card or library: another key, so no other machine's times are served."""
    keys = {group.key for group in sweep.groups("quick", Options())}
    for change in ({"processor": "another"}, {"cores": 64}, {"card": "H200"}, {"packages": {"numpy": "3"}}):
        monkeypatch.setattr(sweep, "place", lambda changed=change: PLACE | changed)
        others = {group.key for group in sweep.groups("quick", Options())}
        assert len(others) >= len(keys) and not keys & others


PLACE = sweep.place()


def test_on_a_card_an_error_is_a_reason_and_elsewhere_an_error(monkeypatch):
    """What cannot run on a card is named with the reason; a contender that breaks on the processor stops the group."""
    broken = CONTENDERS["numpy_fast"]._replace(prepare=lambda *_: 1 / 0)
    entry = measure.Entry("card", "broken", 1, case("rnn"))
    monkeypatch.setitem(CONTENDERS, "broken", broken)
    with pytest.raises(ZeroDivisionError):
        measure.ready([entry], lambda *_: None)
    monkeypatch.setitem(CONTENDERS, "broken", broken._replace(device="cuda"))
    monkeypatch.setattr(measure, "missing", lambda name: "")
    assert measure.ready([entry], lambda *_: None) == ["ZeroDivisionError: division by zero"]


def test_what_is_timed_runs_alone():
    """Its groups would disturb each other, and others would disturb them."""
    assert [name for name in catalogue.EXPERIMENTS if catalogue.alone(name)] == ["speed", "speed_gpu"]


@pytest.mark.slow
def test_the_smoke_preset_gives_a_report_whose_bytes_its_records_give(tmp_path, monkeypatch, capsys):
    """From the command line: one group at a time and no worker; taken from the store the second time."""
    monkeypatch.setattr(workers, "Workers", lambda slots: pytest.fail("speed must not run on workers"))
    line = ["run", "speed", "--preset", "smoke", "--store", str(tmp_path / "s"), "--out", str(tmp_path / "out")]
    assert command.main([*line, "--workers", "2"]) == 0 and "2 groups computed" in capsys.readouterr().err
    assert command.main(line) == 0 and "0 groups computed, 2 taken" in capsys.readouterr().err
    assert command.main(["report", "speed", "--check", "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "speed" / "README.md").read_text("utf-8")
    assert "that of a GPU" in page and "usual NumPy LSTM" in page


def test_a_child_that_fails_says_why(monkeypatch):
    """The error of the process that measures, whole, and not a report without numbers."""
    from dataclasses import replace

    from experiments.speed.experiment import MeasureError, error_of, run

    group = sweep.groups("smoke", Options())[0]
    broken = replace(group, settings=group.settings | {"part": "nonsense"})
    with pytest.raises(MeasureError, match="KeyError: 'nonsense'"):
        run(broken, lambda *_: None)
    trace = "Traceback (most recent call last):\n  File x\nAcceleratorError: CUDA error: bad\nCompile with DSA.\n"
    assert error_of("nvcc says\n" + trace) == "AcceleratorError: CUDA error: bad Compile with DSA."
    assert (error_of("Killed\n"), error_of("")) == ("Killed", "")


def test_what_a_library_and_its_compilers_print_is_no_result():
    """By Python, by the file descriptor, by a process of its own: the parent reads lines of JSON alone."""
    said = "print('a'), os.write(1, b'[1/2] nvcc\\n'), os.system('echo [2/2] c++')"
    code = f"import os; from experiments.speed import child; child.machine = lambda _: ({said}) and (); child.main()"
    settings = json.dumps({"part": "machine", "malloc": "default"}) + "\n"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as done:
        done.stdin.write(settings)
        done.stdin.flush()
        assert [json.loads(line) for line in done.stdout] == [{"records": []}]
        assert "nvcc" in done.stderr.read()


# What is reported


def frame(us, rounds=15, noise=0.01, wander=3.0, part="sizes", **more):
    """Records of times: `us` by (contender, threads, case); the machine slows down by `wander` over the rounds."""
    rng, rows = np.random.default_rng(0), []
    drift = np.geomspace(1, wander, rounds)
    for (contender, threads, sizes), value in us.items():
        setting = measure.Entry(part, contender, threads, sizes).name
        values = value * drift * np.exp(rng.normal(0, noise, rounds))
        rows += [("speed", setting, 0, "us_per_step", n, v, "") for n, v in enumerate(values)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"index": float})


def sizes(cell, H, B, E=1, T=100):
    """A case of the report."""
    return Case(cell, E, T, B, H, H, "float32")


def words(records):
    """What came of each target that was measured, by cell, H, peer and form."""
    found = numbers.answers(numbers.timed(records))
    return {(t.cell, t.H, t.peer, a.form): a for t, a in found if a.word != "not measured"}


def test_targets_are_met_missed_and_open_by_the_interval_of_the_paired_ratio():
    """Though the machine slows down by three over the rounds: met above the target, missed below, open around it."""
    at = sizes("rnn", 32, 16)
    for ratio, wanted in ((5.5, "met"), (4.5, "missed"), (5.0, "open")):
        records = frame({("torch_nn", 1, at): 10.0 * ratio, ("numpy_fast", 1, at): 10.0}, noise=0.02)
        answer = words(records)["rnn", 32, "torch_nn", "numpy_fast"]
        assert answer.word == wanted and answer.measured.value == pytest.approx(ratio, rel=0.03)


def test_what_products_alone_would_give_is_the_peers_time_over_theirs():
    """Round by round, so a slowing machine changes nothing; two threads do twice as many; unknown sizes have none."""
    at = sizes("rnn", 32, 16)
    us = {("torch_nn", 1, at): 50.0, ("numpy_compiled", 1, at): 10.0, ("products", 1, at): 5.0}
    times = numbers.timed(frame(us))
    target = next(t for t in TARGETS if (t.cell, t.H) == ("rnn", 32))
    found = numbers.answer(times, target, "numpy_compiled")
    assert numbers.most(times, target, found).value == pytest.approx(10, rel=0.03)
    assert numbers.most(times, target, found._replace(threads=(2, 1))).value == pytest.approx(20, rel=0.03)
    assert math.isnan(numbers.most(times, target._replace(H=64), found).value)


def test_a_target_beyond_what_products_alone_would_give_is_called_so():
    """4 of 5, and the products alone would give 4.5: out of reach; had they given 8, only missed."""
    at = sizes("rnn", 32, 16)
    us = {("torch_nn", 1, at): 40.0, ("numpy_fast", 1, at): 12.0, ("numpy_compiled", 1, at): 10.0}
    for products, said in ((40 / 4.5, True), (5.0, False)):
        lead = analysis.analyse(frame(us | {("products", 1, at): products})).lead
        assert " of 5; our products alone, in the same rounds: " in lead
        assert ("out of these products' reach" in lead) == said


def test_the_products_that_are_timed_are_those_of_a_step():
    """10 G H^2 B operations a step for D = H; each is written, and the weights' gradient does not add up."""
    small = case("lstm")._replace(D=8)
    z, W_T, a, W_hh, dh, dW = (
        np.random.default_rng(n).normal(size=s).astype("f4")
        for n, s in enumerate(((3, 16), (16, 32), (3, 32), (32, 8), (3, 8), (32, 16)))
    )
    products = pytest.importorskip("experiments.speed.products", reason="they need numba", exc_type=ImportError)
    products.step_by_step(2, z, W_T, a, W_hh, dh, dW, np.arange(2).astype("f4"))
    for got, wanted in ((a, z @ W_T), (dh, a @ W_hh), (dW, a.T @ z)):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert products.products(small, given(small))() is None


def test_a_planted_slowdown_turns_met_into_missed():
    """Three times slower, the same target is missed by the slowed form, and only by it."""
    at = sizes("lstm", 64, 32)
    us = {("numpy_usual", 1, at): 280.0, ("numpy_fast", 1, at): 90.0, ("numpy_compiled", 1, at): 80.0}
    slow = us | {("numpy_fast", 1, at): 270.0}
    key = ("lstm", 64, "numpy_usual")
    assert [words(frame(us))[*key, form].word for form in FORMS] == ["met", "met"]
    assert [words(frame(slow))[*key, form].word for form in FORMS] == ["missed", "met"]


def test_each_side_of_a_group_has_its_better_number_of_threads():
    """One thread for torch, two for ours, if these are the quicker."""
    at = sizes("lstm", 32, 16, E=8)
    us = {("torch_nn", 1, at): 160.0, ("torch_nn", 2, at): 300.0}
    us |= {("numpy_fast", 1, at): 170.0, ("numpy_fast", 2, at): 100.0}
    answer = words(frame(us, part="groups"))["lstm", 32, "torch_nn", "numpy_fast"]
    assert answer.threads == (2, 1) and answer.word == "met"
    assert answer.measured.value == pytest.approx(1.6, rel=0.02)


def test_a_form_that_the_laws_do_not_judge_meets_nothing(monkeypatch):
    """Quick and unchecked does not count."""
    monkeypatch.setattr(numbers, "OUR_FORMS", {"numpy_compiled": ""})
    at = sizes("rnn", 32, 16)
    us = {("torch_nn", 1, at): 100.0, ("numpy_fast", 1, at): 5.0, ("numpy_compiled", 1, at): 5.0}
    found = words(frame(us))
    assert found["rnn", 32, "torch_nn", "numpy_fast"].word == "not judged by the laws"
    assert found["rnn", 32, "torch_nn", "numpy_compiled"].word == "met"


def test_few_rounds_leave_a_target_open():
    """Three rounds give no 95 % interval, whatever the ratio."""
    at = sizes("rnn", 32, 16)
    records = frame({("torch_nn", 1, at): 100.0, ("numpy_fast", 1, at): 5.0}, rounds=3)
    assert words(records)["rnn", 32, "torch_nn", "numpy_fast"].word == "open"


@pytest.mark.parametrize("slope, wanted", [(1.0, "met"), (1.3, "missed"), (0.7, "missed")])
def test_slopes_of_cost_are_recovered(slope, wanted):
    """A cost that grows as a power of T or E gives that power, round by round, and the word for it."""
    steps = {"T": (100, 200, 400, 800), "E": (8, 16, 32)}
    parts = []
    for of, values in steps.items():
        cases = [sizes("lstm", 32, 16, **{of: n}) for n in values]
        power = slope - 1 if of == "T" else slope  # us a step: cost over T
        us = {("numpy_fast", 1, at): 10.0 * n**power for at, n in zip(cases, values, strict=True)}
        parts.append(frame(us, part=f"slope_{of}"))
    found = numbers.growths(numbers.timed(pd.concat(parts)))
    assert [g.slope.value for g in found] == pytest.approx([slope, slope], abs=0.01)
    answers = [a for s, a in numbers.slope_answers(found) if s.cell == "lstm" and a.form == "numpy_fast"]
    assert [answer.word for answer in answers] == [wanted, wanted]


def test_products_and_traffic_of_a_step_are_counted():
    """An LSTM with D = H has 10 G H^2 B operations a step, half of a multiply-add each, and 30 numbers a unit."""
    row = sizes("lstm", 64, 32)
    assert numbers.flops(row) == 10 * 4 * 64**2 * 32
    assert numbers.traffic(row) == 4 * 32 * 64 * (2 + 1 + 2 * 6)


def whole():
    """Records of everything that a full report has."""
    us = {}
    for t in TARGETS:
        at = sizes(t.cell, t.H, t.B, t.E)
        for contender in (t.peer, *FORMS):
            us |= {(contender, n, at): 50.0 * t.ratio if contender == t.peer else 45.0 for n in t.threads}
    parts = [
        frame({k: v for k, v in us.items() if (k[2].E > 1) == (part == "groups")}, part=part)
        for part in ("sizes", "groups")
    ]
    ladders = {"T": (100, 200, 400), "E": (8, 16, 32), "H": (32, 64, 128)}
    for of, values in ladders.items():
        at = {n: sizes("lstm", 32 if of != "H" else n, 16, **({of: n} if of != "H" else {})) for n in values}
        parts.append(frame({("numpy_fast", 1, c): 10.0 * n for n, c in at.items()}, part=f"slope_{of}"))
    facts = [
        ("ceiling/product=64x64x32", "gflop_per_s", 90.0),
        ("ceiling/copy=1048576", "gbyte_per_s", 46.0),
        (f"machine/processor={child.escaped('Some CPU, 2/3 = good')}", "is", 1),
        ("machine/card=none", "is", 1),
        ("machine/cores", "cores", 2),
        *((setting, metric, value) for setting, metric, _, value in child.explained([list(sizes("lstm", 32, 16))])),
    ]
    rows = [("speed", setting, 0, metric, 0.0, float(value), "") for setting, metric, value in facts]
    return pd.concat([*parts, pd.DataFrame(rows, columns=COLUMNS)], ignore_index=True)


@pytest.fixture(scope="module")
def report():
    """The report of `whole`, drawn."""
    with figures.style():
        made = analysis.analyse(whole())
        pictures = {figure.name: figures.svg(figure.canvas, figure.name) for figure in made.figures}
    return made, pictures


def test_the_report_counts_and_draws_its_targets(report):
    """All are met in these records; three figures; the engine of `auto` stands in its own words."""
    made, pictures = report
    assert f"fast NumPy: {len(TARGETS)} met; compiled NumPy: {len(TARGETS)} met" in made.lead
    assert set(pictures) == {"costs", "targets", "growth"} and all("<path" in p for p in pictures.values())
    (said,) = [table for table in made.tables if table.name == "explain"]
    assert said.frame["explain()"].str.startswith("vendor: ").all() and "not fused: " in said.frame["explain()"][0]
    assert "Some CPU, 2/3 = good" in made.lead


def test_the_targets_are_those_of_the_page():
    """20 ratios: the RNN at five sizes, the LSTM over the usual at five, over torch.nn at four, groups at six."""
    assert len(TARGETS) == 20 and len(set(TARGETS)) == 20
    ratios = {(t.part, t.cell, t.peer, t.H, t.B): t.ratio for t in TARGETS}
    assert [ratios["sizes", "rnn", "torch_nn", *size] for size in SIZES] == [5, 3, 1.7, 1.7, 1.7]
    assert [ratios["sizes", "lstm", "numpy_usual", *size] for size in SIZES] == [2.5, 2.5, 1.4, 1.4, 1.4]
    assert [ratios["sizes", "lstm", "torch_nn", *size] for size in SIZES[:4]] == [0.5, 0.8, 0.8, 1.1]
    assert {t.ratio for t in TARGETS if t.part == "groups"} == {1.5}
