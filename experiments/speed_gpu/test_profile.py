"""Profiles: what a trace holds becomes records, these become floors and parts, and the parts say where time goes."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import pandas as pd
import pytest

from experiments.harness import figures
from experiments.harness.sweep import Options
from experiments.speed import child
from experiments.speed.case import Case
from experiments.speed.measure import Entry
from experiments.speed.numbers import ceilings, flops, traffic
from experiments.speed_gpu import analysis, experiment, floors, profiled, profiles, sweep
from experiments.speed_gpu.floors import Kernel
from experiments.speed_gpu.profiled import PASS, Event
from experiments.speed_gpu.targets import AHEAD, TARGETS, WIDTHS
from impl.draw import generator
from properties.record import COLUMNS

torch = pytest.importorskip("torch")

GEMM = "void cutlass::Kernel2<cutlass_80_simt_sgemm_128x64_8x5_nt_align1>(Params)"
SPLITS = {GEMM: 3}
"""Starts a call of the weights' gradient, one for each part of what it sums over."""

COPY = "void at::native::elementwise_kernel<128, 4, direct_copy>(int, Functor)"
PARTS = {"affine": 3.9, "forward_loop": 3.5, "backward_loop": 4.5, GEMM: 3.2, COPY: 0.9}
"""Kernels with microseconds a step, such as the decisions tell of an H100."""

LONE = {4: 1.5, 8: 2.0, 16: 3.3}
CARD = {"processors": 132.0, "threads": 2048.0, "shared": 233472.0}


@dataclass
class Fake:
    """A line of a trace with the fields that are used; the grid and the block are those of 16 rows a program."""

    name: str
    ts: float
    dur: float
    cat: str = "kernel"
    grid: tuple[int, ...] = (128, 1, 1)

    def line(self):
        """As torch writes it."""
        args = {"grid": self.grid, "block": [256, 1, 1], "registers per thread": 168, "shared memory": 69632}
        return {"ph": "X", "cat": self.cat, "name": self.name, "ts": self.ts, "dur": self.dur} | (
            {"args": args} if self.cat == "kernel" else {}
        )


def trace(*lines):
    """A trace with these lines, and others that no device did."""
    other = [Fake("aten::mm", 0.0, 9e9, "cpu_op").line(), Fake(PASS, 0.0, 9e9, "gpu_user_annotation").line()]
    return {"traceEvents": [*other, {"ph": "i", "name": "no span"}, *(line.line() for line in lines)]}


def seen(us, calls=2, T=100, programs=128):
    """What the profiler saw in so many calls: in each every kernel, one after the other, T times its microseconds.

    What STARTS names is started so many times a step, what SPLITS names so many times a call.
    """
    found = []
    for _ in range(calls):
        names = [name for name in us for _ in range(T * STARTS[name] if name in STARTS else SPLITS.get(name, 1))]
        ends = [0.0]
        for name in names:
            ends.append(ends[-1] + T * us[name] / names.count(name))
        sizes = (programs, 256, 168, 69632)
        found.append([Event(name, *span, *sizes) for name, *span in zip(names, ends, ends[1:], strict=False)])
    return found


SGEMM = "void gemmSN_TN_kernel<float, 128, 16, 2, 4, 4, 4, true>(Params)"
STARTS = {"lstm_forward": 1, "lstm_backward": 1, SGEMM: 2, "Memset (Device)": 1}
STEPPED = {"affine": 0.8, "lstm_forward": 3.0, "lstm_backward": 4.2, SGEMM: 11.0, GEMM: 1.6, "Memset (Device)": 1.5}
FEW_ROWS = STEPPED | {"lstm_forward": 2.6, "lstm_backward": 3.4, SGEMM: 9.0}
"""Of one model whose weights do not stay on the chip, made up so that they add up to what an H100 took."""


def case(cell="lstm", E=32, T=100, B=64, H=64):
    """A case of the profiles."""
    return Case(cell, E, T, B, H, H, "float32")


def records(one, form, wall, us, part="profile", programs=128):
    """The records of a form at a case, `wall` microseconds a step."""
    times = [one.T * wall] * 3
    return list(profiled.rows_of(f"{part}/{one.name}/form={form}", times, seen(us, 3, one.T, programs)))


def frame(*rows):
    """Rows of a process as a frame of records, with the machine's facts and ceilings of 51.4 TFLOP/s and 2944 GB/s."""
    facts = [("machine/card=A card", "is", 0, 1.0), *(("profile/card", name, 0, n) for name, n in CARD.items())]
    facts += [("ceiling/product=8192x8192x8192", "gflop_per_s", n, 51.4e3) for n in range(15)]
    facts += [("ceiling/copy=1073741824", "gbyte_per_s", n, 2944.0) for n in range(15)]
    facts += list(child.kernels())
    told = [("speed_gpu", s, 0, metric, float(n), value, "") for s, metric, n, value in (*facts, *rows)]
    return pd.DataFrame(told, columns=COLUMNS)


def lone(cell="lstm", us=LONE):
    """The records of one program alone by its rows."""
    return [
        row
        for rows, value in us.items()
        for row in records(
            case(cell, 1, B=rows), "cuda_fused", 20.0, PARTS | dict.fromkeys(LOOPS, value), "lone", programs=1
        )
    ]


LOOPS = ("forward_loop", "backward_loop")


def found(wall, us=PARTS, lone_us=LONE, graph=None):
    """The profiles of the target's setting, and what stands in front of the reader."""
    rows = [*records(case(), "cuda_fused", wall, us), *lone(us=lone_us)]
    rows += records(case(), "cuda_fused_graph", graph, us) if graph else []
    told = frame(*rows)
    return floors.profiles(told, ceilings(told))


# From the profiler to records


def test_what_runs_side_by_side_is_busy_time_once():
    """Kernels of 0 to 4, 2 to 6 and 8 to 9 are busy 7 and take 9; one within another adds nothing."""
    events = [Event("a", 2, 6), Event("b", 0, 4), Event("c", 8, 9)]
    assert profiled.union(events) == 7
    assert profiled.union([*events, Event("d", 1, 3)]) == 7
    assert profiled.union([]) == 0
    rows = {(metric, n): value for _, metric, n, value in profiled.rows_of("p", [10.0], [events])}
    assert (rows["wall_us", 0], rows["busy_us", 0], rows["sum_us", 0]) == (10, 7, 9)


def test_kernels_are_told_apart_by_the_marks_of_calls():
    """A kernel belongs to the call whose mark its middle follows, since clocks differ a little; host lines to none."""
    marks = [Fake(PASS, ts, 50.0, "user_annotation") for ts in (100.0, 200.0)]
    lines = [Fake("k", 120.0, 30.0), Fake("k", 195.0, 8.0), Fake("k", 199.0, 20.0), Fake("early", 10.0, 5.0)]
    first, second = profiled.events_of(trace(*marks, *lines, Fake("Memset", 230.0, 1.0, "gpu_memset")), "cuda")
    assert [event.start for event in first] == [120.0, 195.0]
    assert [(event.name, event.end) for event in second] == [("k", 219.0), ("Memset", 231.0)]
    assert first[0][3:] == (128, 256, 168, 69632) and second[1][3:] == (0, 0, 0, 0)


def test_a_call_in_which_the_card_did_nothing_is_an_error():
    """A profiler that may not look at the card gives no records of zeros."""
    marks = [Fake(PASS, ts, 50.0, "user_annotation") for ts in (100.0, 200.0)]
    with pytest.raises(RuntimeError, match="saw nothing on cuda in 1 of 2 calls"):
        profiled.events_of(trace(*marks), "cuda")
    with pytest.raises(RuntimeError, match="saw nothing"):
        profiled.events_of(trace(), "cuda")


def test_a_kernel_is_told_call_by_call():
    """Two starts of 3 and 5, of 4 and 5, of 5 and 50 are 8, 9 and 55 in calls, twice each; where it is not run, 0."""
    calls = [[Event("k", 0, a, 4), Event("k", 0, b, 8)] for a, b in ((3, 5), (4, 5), (5, 50))]
    told = {(metric, n): value for metric, n, value in profiled.kernel_rows("k", calls)}
    assert [told["us", n] for n in range(3)] == [8, 9, 55]
    assert (told["calls", 0], told["programs", 0]) == (2, 8)
    assert list(profiled.kernel_rows("once", [*calls, [Event("once", 0, 1)]]))[:4] == [
        *(("us", n, 0) for n in range(3)),
        ("us", 3, 1),
    ]


def test_torch_profiler_is_read_on_a_processor():
    """The same path with the processor as the device: every call has its operators, nested ones busy once."""
    entry = Entry("profile", "torch_eager", 1, Case("lstm", 2, 3, 4, 8, 8, "float32"))
    rows = list(profiled.entry_rows(entry, 3, "cpu"))
    whole = {metric: [v for s, m, _, v in rows if m == metric and "kernel=" not in s] for metric in TIMES}
    assert all(len(values) == 3 and min(values) > 0 for values in whole.values())
    assert all(busy < total for busy, total in zip(whole["busy_us"], whole["sum_us"], strict=True))
    calls = {s.split("kernel=")[1]: value for s, metric, _, value in rows if metric == "calls"}
    assert calls["aten::tanh"] == 2 * 3 and calls["aten::bmm"] >= 2 * 3
    json.dumps(rows)


TIMES = ("wall_us", "busy_us", "sum_us")


def test_who_cannot_be_profiled_is_told_with_the_reason(monkeypatch):
    """No card, or a profiler that fails: no records but the reason; on a processor an error is an error."""
    entry = Entry("profile", "cuda_fused", 1, case())
    monkeypatch.setattr(profiled, "missing", lambda name: "torch finds no CUDA device")
    ((setting, metric, _, _),) = profiled.entry_rows(entry, 3, "cuda")
    assert metric == "missing" and setting.endswith("contender=cuda_fused/reason=torch finds no CUDA device")
    monkeypatch.setattr(profiled, "missing", lambda name: "")
    monkeypatch.setattr(profiled, "measured", refused)
    ((setting, _, _, _),) = profiled.entry_rows(entry, 3, "cuda")
    assert "reason=not profiled: RuntimeError: CUPTI" in setting
    with pytest.raises(RuntimeError, match="CUPTI"):
        list(profiled.entry_rows(entry, 3, "cpu"))


def refused(*_):
    """A profiler without rights."""
    raise RuntimeError("CUPTI_ERROR_INSUFFICIENT_PRIVILEGES")


KINETO = (
    "WARNING:2026-11-27 11:13:16 7278:7278 init.cpp:146] function getCuptiStatus() failed: "
    "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES (35)",
    "something of another library's",
)


@pytest.fixture
def blind(monkeypatch):
    """A profiler that may not look at the device: torch's trace has calls and nothing in them, CUPTI says why once."""
    said = list(KINETO)

    def traced(work, passes, device):
        for _ in range(passes):
            work()
        while said:
            os.write(2, f"{said.pop(0)}\n".encode())
        return {"traceEvents": [Fake(PASS, 100.0 * n, 50.0, "user_annotation").line() for n in range(passes)]}

    monkeypatch.setattr(profiled, "traced", traced)
    return said


def test_where_the_profiler_is_refused_the_reason_and_the_times_stand(blind):
    """One reason for the process, with CUPTI's own words; every entry's times, no kernel, and no reason of its own."""
    shape = ["lstm", 2, 3, 4, 8, 8, "float32"]
    entries = [["profile", "torch_eager", 1, shape], ["lone", "torch_eager", 1, shape]]
    rows = list(profiled.profiles({"entries": entries, "rounds": 3, "device": "cpu"}))
    (reason,) = (setting for setting, *_ in rows if not setting.startswith(("profile/cell=", "lone/cell=")))
    assert reason.startswith("profiler/reason=RuntimeError: the profiler saw nothing on cpu in 1 of 2 calls; function ")
    assert reason.endswith("CUPTI_ERROR_INSUFFICIENT_PRIVILEGES (35)")
    assert {metric for _, metric, *_ in rows} == {"missing", "wall_us"}
    assert sum(value > 0 for _, metric, _, value in rows if metric == "wall_us") == 2 * 3


def test_a_refusal_without_a_word_says_what_to_ask(blind):
    """Where neither torch nor CUPTI says why, the setting of the driver that most often keeps users out is named."""
    blind[:] = ["something of another library's"]
    assert profiled.refusal("cpu").endswith(profiled.UNTOLD)


def test_a_profiler_that_sees_is_not_refused():
    """Torch's own, on a processor; of a card that is not there nothing is asked."""
    assert profiled.refusal("cpu") == ""
    assert sweep.card() or profiled.refusal("cuda") == ""


@pytest.mark.parametrize("absent", ["", *profiled.SHARED.values()])
def test_a_property_of_the_card_that_torch_does_not_tell_costs_no_profile(monkeypatch, absent):
    """All three or none; without them the waves of programs are not known, and everything else is as it was."""
    told = SimpleNamespace(**{n: CARD[m] for m, n in profiled.SHARED.items() if n != absent})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda n: told)
    rows = {metric: value for _, metric, _, value in profiled.card("cuda")}
    assert rows == ({} if absent else CARD)
    without = frame(*records(case(), "cuda_fused", 20.4, PARTS), *lone())
    without = without[without.setting != "profile/card"]
    (one,) = floors.profiles(without, ceilings(without))
    assert sum(floors.excess(one)) == pytest.approx(20.4) and math.isnan(one.kernels[1].waves)


def test_rights_stand_in_the_settings(tmp_path):
    """A profile that was refused is asked for anew by an administrator, and where the driver is told to let users."""
    driver, process = tmp_path / "params", tmp_path / "status"
    for kept in (0, 1):
        for held, administrator in (("000001ffffffffff", True), ("00000000a80425fb", False)):
            driver.write_text(f"ResmanDebugLevel: 4294967295\nRmProfilingAdminOnly: {kept}\n")
            process.write_text(f"Name:\tpython\nCapPrm:\t0\nCapEff:\t{held}\n")
            assert sweep.rights(driver, process) == {"kept": kept == 1, "administrator": administrator}
    assert sweep.rights(tmp_path / "none", process) == {}
    assert "rights" in sweep.profile_group(sweep.PRESETS["quick"], "lstm").settings


def test_what_is_said_meanwhile_is_heard_and_told_on(capfd):
    """Warnings, and lines that a library writes past Python; both still reach standard error, and later ones do."""
    with profiled.complaints() as said:
        os.write(2, b"from C\n")
        warnings.warn("from Python", UserWarning, stacklevel=1)
    os.write(2, b"later\n")
    assert said == ["from Python", "from C"]
    assert capfd.readouterr().err == "from Python\nfrom C\nlater\n"


def test_an_entry_that_the_profiler_fails_keeps_its_times(monkeypatch):
    """A failure within one entry: its times, then its reason."""
    entry = Entry("profile", "cuda_fused", 1, Case("lstm", 2, 3, 4, 8, 8, "float32"))
    monkeypatch.setattr(profiled, "missing", lambda name: "")
    monkeypatch.setitem(profiled.TIMERS, "cuda", profiled.processor_us)
    monkeypatch.setattr(profiled, "finished", lambda work, device: work)
    monkeypatch.setitem(profiled.CONTENDERS, "cuda_fused", profiled.CONTENDERS["torch_eager"])
    monkeypatch.setattr(profiled, "traced", refused)
    *times, reason = profiled.entry_rows(entry, 3, "cuda")
    assert [(metric, n) for _, metric, n, _ in times] == [("wall_us", n) for n in range(3)]
    assert reason[0].endswith("reason=not profiled: RuntimeError: CUPTI_ERROR_INSUFFICIENT_PRIVILEGES")


def test_the_report_says_that_the_profile_could_not_be_had():
    """In the lead and among what was measured, with the reason; no figure, and the times of the forms draw none."""
    why = "RuntimeError: the profiler saw nothing on cuda in 1 of 2 calls; CUPTI_ERROR_INSUFFICIENT_PRIVILEGES (35)"
    timed = [(f"card/{case().name}/contender=cuda_fused/threads=1", "us_per_step", n, 20.0 + n / 99) for n in range(15)]
    times = profiled.rows_of(f"profile/{case().name}/form=cuda_fused", [2040.0] * 3, ())
    with figures.style():
        report = analysis.analyse(frame(*timed, (f"profiler/reason={child.escaped(why)}", "missing", 0, 1), *times))
    said = f"What each kernel takes could not be profiled: {why}."
    state = next(table.frame for table in report.tables if table.name == "gpu").set_index("what").state
    assert report.lead.endswith(f"\n\n{said}") and state["profile of our kernels"] == said
    assert "profile" not in {part.name for part in (*report.figures, *report.tables)} | set(report.files)


def test_a_lone_program_has_the_rows_that_are_asked_for():
    """Where few models would be spread over more programs, within `programs_of` they are not; behind it they are."""
    pytest.importorskip("triton")
    from impl.torch_twin.kernels.plan import plan

    def rows(B):
        chosen = plan("lstm", 64, "float32", "ieee", (9, 0))
        return [config.spread(1, B, 132).rows for config in (chosen.forward, chosen.backward)]

    assert rows(16) == [4, 4]
    for wanted in (4, 8, 16):
        with profiled.programs_of(wanted):
            assert rows(wanted) == [wanted, wanted]
    assert rows(16) == [4, 4]


def test_a_group_runs_in_its_own_process(monkeypatch):
    """A profile is measured by profiled.py, all else by speed's child; both say what they say to the same reader."""
    monkeypatch.setattr(experiment.experiment, "run", lambda group, checkpoint, module: module)
    monkeypatch.setattr(sweep, "card", lambda: "A card")
    groups = {group.setting: experiment.run(group, None) for group in sweep.groups("quick", Options())}
    assert {name for name, module in groups.items() if module == experiment.PROFILED} == {
        "profile/cell=rnn",
        "profile/cell=lstm",
    }
    assert set(groups.values()) == {experiment.PROFILED, "experiments.speed.child"}


def test_the_process_answers_as_its_parent_reads():
    """A whole run of the process: of a machine without a card every form with its reason, once, and nothing else."""
    if sweep.card():
        pytest.skip("this machine has a card")
    (group,) = (sweep.profile_group(sweep.PRESETS["smoke"], "lstm"),)
    steps = []
    told = experiment.run(group, lambda done, total: steps.append((done, total)))
    assert [record.setting.split("/reason=")[0] for record in told] == [
        f"missing/{part}/contender={form}"
        for part, form in (("profile", "cuda_fused"), ("profile", "cuda_fused_graph"), ("lone", "cuda_fused"))
    ]
    assert steps[-1] == (5, 5)


def test_profiles_take_in_both_ends_of_every_ladder():
    """The setting of the target, E=8 and 128, T=800, each as it is and in a graph; one program of 4, 8 and 16 rows."""
    entries = sweep.profile_group(sweep.PRESETS["quick"], "rnn").settings["entries"]
    sizes = {(part, name, *case[1:4]) for part, name, _, case in entries}
    for E, T in ((32, 100), (8, 100), (128, 100), (32, 800)):
        assert sizes >= {("profile", form, E, T, 64) for form in sweep.PROFILED}
    assert sizes >= {("lone", "cuda_fused", 1, 100, rows) for rows in (4, 8, 16)}
    assert len(entries) == len(sizes) == 11


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_what_a_target_asks_is_measured_and_profiled(monkeypatch, preset):
    """Every demanded ratio, and the ceiling at both widths: a comparison has the forms, a profile the kernels.

    Of one model's widths between 128 and 256 one is profiled: all of them are stepped.
    """
    monkeypatch.setattr(sweep, "card", lambda: "A card")
    entries = [
        (part, name, *case[:6])
        for group in sweep.groups(preset, Options())
        for part, name, _, case in group.settings.get("entries", ())
    ]
    assert len(set(entries)) == len(entries)
    for target in TARGETS:
        at = ("lstm", target.E, sweep.T, target.B, target.H, target.H)
        assert {("card", name, *at) for name in (target.form, *target.peers)} <= set(entries)
        if target.ratio > 0 and target.H not in (144, 192):
            assert ("profile", target.form, *at) in entries
    for H in WIDTHS:
        assert {("profile", form, "lstm", 32, sweep.T, 64, H, H) for form in sweep.PROFILED} <= set(entries)
        assert {("lone", "cuda_fused", "lstm", 1, sweep.T, rows, H, H) for rows in (4, 8, 16)} <= set(entries)
    lone = {(name, B, H) for part, name, _, _, _, B, _, H in entries if part == "lone"}
    assert lone >= {("cuda_fused", 4, 160), ("cuda_fused", 4, 256), ("cuda_fused_bf16", 16, 64)}


def test_one_models_widths_are_stepped_and_bfloat16_is_not():
    """What the profile's floors assume of our kernels' plan on an H100: of rows too, that bfloat16 has 16 alone."""
    pytest.importorskip("triton")
    from impl.torch_twin.kernels.plan import plan

    for H in AHEAD:
        chosen = plan("lstm", H, "float32", "ieee", (9, 0))
        assert (chosen.forward.path, chosen.backward.path, chosen.P) == ("stepped", "stepped", H)
    chosen = plan("lstm", WIDTHS[0], "float32", "bf16", (9, 0))
    for config in (chosen.forward, chosen.backward):
        assert (config.path, config.spread(1, 16, 132).rows) == ("persistent", 16)


# From records to floors


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_tasks_of_kernels_add_up_to_a_step(cell, stepped):
    """The kernels' multiply-adds are those of the step; they move at least its bytes, since arrays go between them."""
    tasks = [floors.task(role, case(cell), stepped) for role in floors.ROLES]
    assert 2 * sum(products for _, products in tasks) == flops(case(cell))
    assert sum(moved for moved, _ in tasks) >= traffic(case(cell))


def test_floors_of_an_lstm_by_hand():
    """E=32, B=64, H=64: of each of 2048 rows a forward loop moves 11 x 64 x 4 bytes and forms 4 x 64 x 64 products."""
    assert floors.task("forward", case()) == (2048 * 11 * 64 * 4, 2048 * 4 * 64 * 64)
    assert floors.task("backward", case("rnn")) == (2048 * 3 * 64 * 4, 2048 * 64 * 64)
    (one,) = found(20.0)
    loop = next(kernel for kernel in one.kernels if kernel.role == "forward")
    assert loop.memory == pytest.approx(2048 * 11 * 64 * 4 / 2944e3)
    assert loop.product == pytest.approx(2 * 2048 * 4 * 64 * 64 / 51.4e6)
    assert (loop.latency, loop.alone) == (LONE[4], LONE[16])
    assert loop.fill == 128 / 132


def test_roles_by_name():
    """Kernels are known by their names, escaped as they are in records; what is none of ours or a library's is rest."""
    names = {"affine": "projection", "forward_loop": "forward", "backward_loop": "backward", GEMM: "gradient"}
    names |= {"ampere_sgemm_64x32_sliced1x4_nt": "gradient", "nvjet_hsh_128x8": "gradient", "Memset": "rest"}
    names |= {"void cublasLt::splitKreduce_kernel<32>": "gradient", COPY: "rest", "void at::reduce_kernel<4>": "rest"}
    names |= {f"{cell}_{way}": way for cell in ("rnn", "lstm") for way in ("forward", "backward")}
    assert {name: floors.role_of(child.escaped(name)) for name in names} == names
    assert floors.role_of("") == ""


def test_waves_and_rows_of_programs():
    """512 programs, one at a time on each of 132 multiprocessors, take four waves; 128 of E=32, B=64 have 16 rows."""
    largest = pd.Series({"programs": 512.0, "threads": 256.0, "registers": 168.0, "shared": 69632.0})
    assert floors.beside(largest, CARD) == 1  # by registers
    assert floors.waves(largest, CARD) == 4
    assert floors.beside(largest.replace({168.0: 40.0}), CARD) == 3  # by shared memory
    assert floors.fill(largest, CARD) == pytest.approx(512 / (4 * 132))
    assert (floors.rows_of(case(), 128), floors.rows_of(case(), 256)) == (16, 8)
    assert math.isnan(floors.waves(largest, {}))


@pytest.mark.parametrize(
    ("programs", "waves", "share"),
    [(132, 1, 1), (133, 2, 133 / 264), (264, 2, 1), (265, 3, 265 / 396)],
    ids=["132", "133", "264", "265"],
)
def test_one_program_more_than_the_card_has_room_for_is_a_wave_more(programs, waves, share):
    """One program a multiprocessor, 132 of them: the 133rd is a second wave, in which 131 multiprocessors are idle.

    Of a loop of two such waves all but a 133rd part of the second one is said to be these.
    """
    largest = pd.Series({"programs": programs, "threads": 256, "registers": 168, "shared": 69632})
    assert floors.beside(largest, CARD) == 1
    assert (floors.waves(largest, CARD), floors.fill(largest, CARD)) == (waves, pytest.approx(share))
    loop = Kernel("forward", 9.0, 1, 0.5, 0.1, 1.0, 2.0 * waves, programs, waves, floors.fill(largest, CARD))
    told = floors.parts(loop)
    assert told["floors"] + told["latency"] + told["pace"] == pytest.approx(2.0 * programs / 132)
    assert told["waves"] == pytest.approx(2.0 * (waves - programs / 132))
    row = profiles.kernel_row(loop)
    assert (row["programs"], row["waves of them"]) == (str(programs), str(waves))


@pytest.mark.parametrize(
    ("programs", "waves", "share"),
    [(132, 1, 1), (133, 1, 1), (264, 1, 1), (265, 2, 133 / 264), (528, 2, 1)],
)
def test_programs_that_run_beside_one_another_are_one_wave(programs, waves, share):
    """Two programs a multiprocessor: 264 fill the card once, and of 133 no multiprocessor is without one."""
    largest = pd.Series({"programs": programs, "threads": 256, "registers": 128, "shared": 69632})
    assert floors.beside(largest, CARD) == 2
    assert (floors.waves(largest, CARD), floors.fill(largest, CARD)) == (waves, pytest.approx(share))


@pytest.mark.parametrize("calls", [3, 4, 11, 31])
def test_parts_add_up_to_the_time(calls):
    """A step's parts are its time, however calls differ, which kernels run at once and whichever is below its floor."""
    rng = generator("speed_gpu profile", calls)
    for wall, size in ((17.0, 1.0), (30.0, 0.05), (30.0, 3.0)):
        told = frame(*uneven(rng, calls, wall, size), *lone())
        (one,) = floors.profiles(told, ceilings(told))
        assert sum(floors.excess(one)) == pytest.approx(one.wall)
        assert one.busy - one.overlap == pytest.approx(sum(kernel.us for kernel in one.kernels))
        assert one.overlap < 0 < one.busy


def test_what_runs_at_once_is_told_call_by_call():
    """Kernels in two streams, in one call of 200 us 100 at once: of the two middle calls the mean."""
    calls = [[Event("affine", 0, a), Event(COPY, b, b + 100)] for a, b in ((50, 50), (200, 0), (300, 300), (400, 400))]
    rows = list(profiled.rows_of(f"profile/{case().name}/form=cuda_fused", [900.0] * 4, calls))
    (one,) = floors.profiles(frame(*rows), ceilings(frame()))
    assert (one.busy, one.overlap) == (3.0, -0.5)
    assert {kernel.role: kernel.us for kernel in one.kernels} == {"projection": 2.5, "rest": 1.0}


def test_a_call_that_was_held_up_is_no_measure():
    """One of eleven calls takes a hundred times as long, with the profiler and without: nothing of it is seen."""
    calls = seen(PARTS, 11)
    calls[4] = [event._replace(end=event.start + 100 * (event.end - event.start)) for event in calls[4]]
    rows = list(profiled.rows_of(f"profile/{case().name}/form=cuda_fused", [2040.0] * 10 + [2e5], calls))
    (one,) = floors.profiles(frame(*rows), ceilings(frame()))
    assert (one.wall, one.busy) == (pytest.approx(20.4), pytest.approx(sum(PARTS.values())))


def uneven(rng, calls, wall, size):
    """Records of a form in whose calls kernels take a share more or less, and two of them run partly at once."""
    found = []
    for _ in range(calls):
        start, events = 0.0, []
        for name, us in PARTS.items():
            took = 100 * us * size * rng.uniform(0.5, 2)
            events.append(Event(name, start, start + took, 128, 256, 168, 69632))
            start += took * (0.5 if name == GEMM else 1.0)
        found.append(events)
    times = list(100 * wall * rng.uniform(0.9, 1.3, calls))
    return profiled.rows_of(f"profile/{case().name}/form=cuda_fused", times, found)


def test_kernels_quicker_than_their_floors_lower_the_ceiling_and_nothing_else():
    """Each at .1 of more: the ceiling is what they took, and no memory of their own is beyond it."""
    (one,) = found(17.0)
    fast = floors.excess(one._replace(kernels=tuple(kernel._replace(us=0.1) for kernel in one.kernels)))
    assert (fast.ceiling, fast.memory) == (pytest.approx(0.4), 0)


def test_parts_of_a_loop_are_levels():
    """Of 10: 2 memory, 4 in series at least, 6 with the rows of its programs, 7.5 in whole waves, then others."""
    loop = Kernel("forward", 10.0, 1, 2.0, 1.0, 4.0, 7.5, 128, 1, 0.8)
    told = {
        name: pytest.approx(us)
        for name, us in zip(("floors", "latency", "pace", "waves", "crowd"), (2, 2, 2, 1.5, 2.5), strict=True)
    }
    assert floors.parts(loop) == told
    unknown = loop._replace(latency=math.nan, alone=math.nan, fill=math.nan)
    assert floors.parts(unknown) == {"floors": 2, "latency": 0, "pace": 0, "waves": 0, "crowd": 8}
    assert floors.parts(loop._replace(us=3.0))["latency"] == 1
    assert floors.parts(loop._replace(role="gradient")) == {"floors": 2, "products": 8}


def single(H=256, graph=28.7, rows=FEW_ROWS):
    """The records of one model whose weights do not stay on the chip, and where `rows` are given of a few rows.

    Kernels have 16 programs, as those have that keep 4 of the 64 rows each.
    """
    found = records(case(E=1, H=H), "cuda_fused", 36.4, STEPPED | {COPY: 1.4}, programs=16)
    found += records(case(E=1, H=H), "cuda_fused_graph", graph, STEPPED, programs=16)
    return found + (records(case(E=1, H=H, B=4), "cuda_fused", 30.0, rows, "lone") if rows else [])


def rounded(wall=16.1, us=PARTS, latency=2.9):
    """The records of products of bfloat16 at the target's setting, and of one program alone, of 16 rows."""
    alone = PARTS | dict.fromkeys(LOOPS, latency)
    found = list(records(case(), "cuda_fused_bf16", wall, us))
    return found + records(case(E=1, B=16), "cuda_fused_bf16", 20.0, alone, "lone", programs=1)


def read(*rows):
    """The profiles that records of rows tell, by E and form."""
    told = frame(*rows)
    return {(one.case.E, one.form): one for one in floors.profiles(told, ceilings(told))}


def kernels(one):
    """A profile's kernels by their role."""
    return {kernel.role: kernel for kernel in one.kernels}


def test_products_that_every_step_starts_are_told_from_the_weights_gradient():
    """Of two of a library's kernels the one of 200 starts in 100 steps is the steps', the one of three is not."""
    one = read(*single())[1, "cuda_fused_graph"]
    found = kernels(one)
    assert one.stepped and (found["steps"].calls, found["gradient"].calls) == (200, 3)
    assert (found["steps"].us, found["gradient"].us) == (pytest.approx(11.0), pytest.approx(1.6))
    assert found["steps"].product == pytest.approx(2 * 2 * 64 * 4 * 256 * 256 / 51.4e6)
    assert (found["steps"].memory, found["forward"].product) == (0, 0)
    assert not read(*records(case(), "cuda_fused", 20.4, PARTS))[32, "cuda_fused"].stepped


def test_of_single_steps_the_kernels_of_few_rows_are_the_series():
    """Each kernel's of 4 rows is its floor, in a graph too; the loops have no programs that stay, so no waves' time."""
    for one in read(*single()).values():
        found = kernels(one)
        assert [found[role].latency for role in floors.SERIES] == [pytest.approx(us) for us in (2.6, 3.4, 9.0)]
        assert all(math.isnan(found[role].alone) for role in floors.SERIES)
        parts = floors.excess(one)
        assert sum(parts) == pytest.approx(one.wall)
        assert parts.ceiling + parts.memory + parts.latency == pytest.approx(2.6 + 3.4 + 9 + sum_of_floors(found))
        assert parts.crowd == pytest.approx(0.4 + 0.8) and parts.pace == parts.waves == 0


def test_no_loop_is_said_to_run_where_every_step_starts_kernels():
    """A slow kernel of single steps is told as that, beside what it takes of few rows where that was measured."""
    slow = STEPPED | {"lstm_forward": 18.0}
    own = records(case(E=1, H=256), "cuda_fused", 40.0, slow, programs=16)
    few = records(case(E=1, H=256, B=4), "cuda_fused", 30.0, FEW_ROWS, "lone")
    words = profiles.largest(read(*own, *few)[1, "cuda_fused"])
    assert words.startswith("16.2 are kernels of single steps for more rows and "), words
    alone = profiles.largest(read(*own)[1, "cuda_fused"])
    assert alone.startswith("21.7 are kernels of single steps and "), alone
    looped = read(*records(case(), "cuda_fused", 20.4, PARTS | dict.fromkeys(LOOPS, 5.6)), *lone(us={16: 1.6}))
    assert "are programs of loops beside one another" in profiles.largest(looped[32, "cuda_fused"])


def sum_of_floors(found):
    """Microseconds of the floors of what no step starts."""
    return sum(max(found[role].memory, found[role].product) for role in ("projection", "gradient"))


def test_kernels_of_several_names_are_one_role_in_few_rows_too():
    """Forward and backward may have a product of their own each: their times are added in each call."""
    split = {name: us for name, us in FEW_ROWS.items() if name != SGEMM} | {SGEMM: 4.0, OTHER: 5.5}
    one = read(*single(rows=split))[1, "cuda_fused_graph"]
    assert kernels(one)["steps"].latency == pytest.approx(9.5)


OTHER = SGEMM.replace("TN", "NN")
STARTS[OTHER] = 1


def test_bfloat16_has_no_floor_of_products():
    """Its arrays are float32's and have their floor; of products the weights' gradient alone, which is float32's."""
    one = read(*rounded(), *lone())[32, "cuda_fused_bf16"]
    exact = read(*records(case(), "cuda_fused", 20.4, PARTS), *lone())[32, "cuda_fused"]
    found, own = kernels(one), kernels(exact)
    assert {role: kernel.memory for role, kernel in found.items()} == {role: own[role].memory for role in own}
    known = {role for role, kernel in found.items() if not math.isnan(kernel.product)}
    assert known == {"gradient", "rest"} and found["gradient"].product == own["gradient"].product
    assert math.isnan(one.ceiling) and not math.isnan(exact.ceiling)
    parts = floors.excess(one)
    known = sum(value for value in parts if not math.isnan(value))
    assert math.isnan(parts.ceiling) and known == pytest.approx(one.wall) and parts.memory > 0


def test_forms_have_lone_programs_of_their_own():
    """Of 16 rows a program of bfloat16 takes 2.9 and one of float32 3.3: each is the floor of its own form alone."""
    found = read(*rounded(), *records(case(), "cuda_fused", 20.4, PARTS), *lone())
    assert kernels(found[32, "cuda_fused_bf16"])["forward"].latency == pytest.approx(2.9)
    loop = kernels(found[32, "cuda_fused"])["forward"]
    assert (loop.latency, loop.alone) == (LONE[4], LONE[16])


# What is said


def test_a_target_that_is_met_is_said_to_be():
    """Kernels at 12 of 6.53: met, with what lies above them."""
    us = {"affine": 2.0, "forward_loop": 2.5, "backward_loop": 2.5, GEMM: 3.0, COPY: 0.5}
    words = profiles.title(found(12.0, us))
    assert "takes, in a profile's own calls, 12 µs, 1.84 times what the ceilings allow (at most 2: met)" in words
    assert "of 5.47 µs above them" in words


@pytest.mark.parametrize(
    ("wall", "us", "alone", "said"),
    [
        (25.0, PARTS, LONE, "9 are the card waiting for the processor"),
        (20.4, PARTS | dict.fromkeys(LOOPS, 5.6), {4: 5.5, 16: 5.5}, "7.26 are steps in series, which"),
        (
            20.4,
            PARTS | dict.fromkeys(LOOPS, 5.6),
            {4: 1.5, 16: 5.5},
            "6.93 are steps in series of programs with several",
        ),
        (20.4, PARTS | dict.fromkeys(LOOPS, 5.6), {4: 1.5, 16: 1.6}, "7.46 are programs of loops beside one another"),
        (21.0, PARTS | {"affine": 8.6}, LONE, "7.88 are products below the fastest one's rate"),
        (20.4, PARTS | {COPY: 5.2}, LONE, "5.2 are sums and copies"),
    ],
    ids=["gaps", "latency", "rows", "crowd", "products", "copies"],
)
def test_a_target_that_is_missed_is_said_to_be_with_the_largest_reason(wall, us, alone, said):
    """Whatever takes most above the ceilings is named first, with its microseconds."""
    words = profiles.title(found(wall, us, alone))
    assert "(at most 2: missed)" in words
    assert f"above them {said}" in words


def test_memory_is_said_to_be_the_reason():
    """Kernels at their own floors, memory slow: the excess is that each has its own reads and writes."""
    told = frame(
        *records(case(), "cuda_fused", 31.0, {"affine": 4.2, "forward_loop": 9.2, "backward_loop": 8.3, GEMM: 5.3})
    )
    told.loc[told.setting.str.startswith("ceiling/copy"), "value"] = 640.0
    words = profiles.title(floors.profiles(told, ceilings(told)))
    assert "above them 13.9 are every kernel's own reads and writes" in words, words


def test_a_graph_is_told_beside_and_growth_by_the_ladders_ends():
    """Both forms stand in the title; growth is of calls, so that T=800 of 100 at the same step is 8 times."""
    assert "; in a CUDA graph 16.5 µs, 2.53 times" in profiles.title(found(20.4, graph=16.5))
    rows = [*records(case(E=8), "cuda_fused", 20.0, PARTS), *records(case(E=128), "cuda_fused", 60.0, scaled(3.5))]
    rows += [*records(case(), "cuda_fused", 20.4, PARTS), *records(case(T=800), "cuda_fused", 17.0, PARTS)]
    told = frame(*rows)
    words = profiles.growth_sentence(floors.profiles(told, ceilings(told)))
    assert "from 8 to 128 models a call of the LSTM takes 3 times as long, its kernels 3.5 times" in words
    assert "from 100 to 800 steps a call of the LSTM takes 6.67 times as long, its kernels 8 times" in words


def test_the_other_width_is_judged_beside():
    """H=32 of the same models: its ceilings are 1.63 us of products, so 17.8 us are missed, and the wait is why."""
    us = {"affine": 1.2, "forward_loop": 1.5, "backward_loop": 1.5, GEMM: 1.1}
    rows = [*records(case(), "cuda_fused", 12.0, PARTS), *records(case(H=32), "cuda_fused", 17.8, us)]
    told = frame(*rows)
    looked_into = floors.profiles(told, ceilings(told))
    words = profiles.title(looked_into)
    assert "(at most 2: met)" in words
    assert "; at H=32 17.8 µs, 10.9 times what the ceilings allow (missed): of" in words
    assert words.endswith("12.5 are the card waiting for the processor")
    assert [profiles.bar_name(one, 64) for one in looked_into] == ["E=32 T=100 H=32", "E=32 T=100"]
    assert profiles.panel_title("lstm", looked_into, 64) == "LSTM, B=64, H=64 where no other is named"
    assert profiles.panel_title("lstm", looked_into[1:], 64) == "LSTM, B=64, H=64"
    assert len(profiles.kernel_table(looked_into).frame) == len(us) + len(PARTS)


def ahead(us):
    """The times of one LSTM's fused form by width, and of torch.nn in turn, which takes 10."""
    who = {"cuda_nn": dict.fromkeys(us, 10.0), "cuda_fused": us}
    return [
        (f"card/{case(E=1, H=H).name}/contender={name}/threads=1", "us_per_step", n, value * (1 + n / 1e4))
        for name, times in who.items()
        for H, value in times.items()
        for n in range(15)
    ]


def told(report, name):
    """A table of a report."""
    return next(table.frame for table in report.tables if table.name == name)


def test_what_misses_its_target_is_said_with_where_its_time_goes():
    """Of the widths that miss it, each by the nearest profile, which is named; what was not profiled is said to be."""
    times = ahead({144: 12.0, 160: 12.0, 192: 9.0, 256: 11.0})
    report = analysis.analyse(frame(*times, *single(256), *single(160, rows=None)))
    assert "What misses a target, and where its time goes: our module, fused, E=1 H=144 and H=160: of " in report.lead
    assert "of 36.4 µs a step (H=160) 12.9 are waits before a graph or between its kernels and " in report.lead
    assert "; our module, fused, E=1 H=256: of 36.4 µs a step (H=256) 13.2 are steps in series" in report.lead
    spent = told(report, "spending").set_index("setting")
    assert [*spent.index] == [f"LSTM E=1 H={H} B=64" for H in AHEAD] and {*spent.ours} == {"our module, fused"}
    met = spent.loc["LSTM E=1 H=192 B=64"]
    assert met.result == "met" and met["where ours goes"].startswith("of 36.4 µs a step (H=160)")
    report = analysis.analyse(frame(*times))
    assert "our module, fused, E=1 H=144 and H=160 and H=256: not profiled." in report.lead
    assert "spending" not in {table.name for table in report.tables}
    assert "misses" not in analysis.analyse(frame(*ahead({160: 9.0}), *single(160))).lead


def test_a_missed_ceiling_is_said_with_where_its_time_goes():
    """Where all ratios are met: each width with its nearest profile, or that there is none; a met one is not named."""
    timed = [
        (f"card/{case(H=H).name}/contender=cuda_fused/threads=1", "us_per_step", n, us)
        for H, us in ((64, 20.4), (32, 3.0))
        for n in range(15)
    ]
    met = ahead(dict.fromkeys(AHEAD, 9.0))
    report = analysis.analyse(frame(*met, *timed, *records(case(), "cuda_fused", 20.4, PARTS), *lone()))
    assert "fused: 3.12 of at most 2 at H=64 (missed), 1.84 of at most 2 at H=32 (met).\n\n" in report.lead
    why = "our module, fused, E=32 H=64 over the ceilings: of 20.4 µs a step (H=64) "
    assert f"What misses a target, and where its time goes: {why}" in report.lead
    report = analysis.analyse(frame(*met, *timed))
    assert "where its time goes: our module, fused, E=32 H=64 over the ceilings: not profiled." in report.lead
    report = analysis.analyse(frame(*met))
    assert "not measured at H=64, not measured at H=32." in report.lead and "misses" not in report.lead


def test_one_model_and_bfloat16_stand_beside_the_others():
    """A bar and rows each, with what is not known left blank; words of a graph's gaps, and of floors for a ceiling."""
    rows = frame(*records(case(), "cuda_fused", 20.4, PARTS), *lone(), *single(), *rounded(), *ahead({256: 9.0}))
    looked_into = floors.profiles(rows, ceilings(rows))
    bars = [profiles.bar_name(one, 64) for one in looked_into]
    assert bars == ["E=1 T=100 H=256", "E=1 T=100 H=256, in a graph", "E=32 T=100", "E=32 T=100, bf16"]
    with figures.style():
        report = analysis.analyse(rows)
        (figure,) = (figure for figure in report.figures if figure.name == "profile")
        (axis,) = figure.canvas.axes
        assert "products of single steps" in {text.get_text() for text in axis.get_legend().get_texts()}
        assert "bf16 16.1: input's product" in figure.alt and "products of single steps 11," in figure.alt
        assert "<path" in figures.svg(figure.canvas, figure.name)
    row = told(report, "profile").set_index(["form", "setting", "kernel"])
    steps = row.loc["our module, fused", "E=1 T=100 H=256 B=64", "products of single steps"]
    assert (steps.calls, steps.measured, steps["products alone"]) == ("200", "11", "1.31")
    assert (steps["steps in series, fewest rows"], steps["over its largest floor"]) == ("9", "1.22")
    loop = row.loc["our module, fused, bf16", "E=32 T=100 H=64 B=64", "forward loop"]
    assert (loop["products alone"], loop["memory alone"], loop["over its largest floor"]) == ("", "1.96", "1.21")
    row = told(report, "excess").set_index("form").loc["our module, fused, bf16"]
    assert (row["ceilings"], row["over them"]) == ("", "") and float(row["each kernel's own memory"]) > 0
    (asked,) = (target for target in TARGETS if target.form == "cuda_fused_bf16")
    words = profiles.spending(looked_into, asked)
    assert words.startswith("of 16.1 µs a step (H=64) ") and "what memory and float32's products must take" in words


def scaled(factor):
    """All kernels so many times as long."""
    return {name: factor * us for name, us in PARTS.items()}


def test_the_report_shows_a_profile_where_there_is_one():
    """Without its records neither figure nor tables; with them a bar a setting, a row a kernel, and the data."""
    with figures.style():
        report = analysis.analyse(frame())
        assert "profile" not in {part.name for part in (*report.figures, *report.tables)} | set(report.files)
        rows = [*records(case(), "cuda_fused", 20.4, PARTS), *records(case(), "cuda_fused_graph", 16.4, PARTS), *lone()]
        rows += [
            *records(case("rnn"), "cuda_fused", 19.4, PARTS),
            *records(case("rnn", E=8), "cuda_fused", 18.0, PARTS),
        ]
        report = analysis.analyse(frame(*rows))
        (figure,) = (figure for figure in report.figures if figure.name == "profile")
        assert "<path" in figures.svg(figure.canvas, figure.name)
    shown = {table.name: table.frame for table in report.tables}
    assert len(shown["profile"]) == 3 * len(PARTS) and len(shown["excess"]) == 4
    assert len(report.files["profile"]) == 4 * len(PARTS)
    row = shown["profile"].set_index(["cell", "form", "kernel"]).loc["LSTM", "our module, fused", "forward loop"]
    assert (row.measured, row["steps in series, fewest rows"], row.programs) == ("3.5", "1.5", "128")
    assert row["over its largest floor"] == "1.79"


def test_a_profile_without_ceilings_is_shown_and_not_judged():
    """The smoke preset measures no ceilings: times stand there, floors and the word are left out."""
    told = frame(*records(case(), "cuda_fused", 20.4, PARTS))
    told = told[~told.setting.str.startswith("ceiling/")]
    looked_into = floors.profiles(told, ceilings(told))
    assert profiles.title(looked_into) == "Microseconds a step, by kernel"
    shown, _ = profiles.tables(looked_into)
    assert set(shown.frame["memory alone"]) == {""} and "3.5" in set(shown.frame.measured)
    with figures.style():
        assert "<path" in figures.svg(profiles.profile_figure(looked_into).canvas, "profile")
