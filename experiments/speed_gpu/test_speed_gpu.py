"""Speed on a GPU: what is reported follows from the records, with a card and without one."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from experiments.harness import figures, provenance
from experiments.harness.executor import InProcess
from experiments.harness.run import compute
from experiments.harness.store import Store
from experiments.harness.sweep import Options
from experiments.speed import child
from experiments.speed.case import Case
from experiments.speed.contenders import CONTENDERS
from experiments.speed_gpu import analysis, experiment, sweep
from experiments.speed_gpu.targets import AHEAD, BETWEEN, EXACT, RECORDED, TARGETS
from experiments.speed_gpu.tried import TRIED
from impl.torch_twin import backend
from properties.record import COLUMNS, read_csv

ROUNDS = 15
ROOT = Path(__file__).parents[2]


def records(us, part="card"):
    """Records of times by (contender, case), alike in all rounds but for a thousandth."""
    rows = []
    for (name, case), value in us.items():
        setting = f"{part}/{case.name}/contender={name}/threads=1"
        rows += [
            ("speed_gpu", setting, 0, "us_per_step", n, value * (1 + (n - ROUNDS // 2) / 1e3), "")
            for n in range(ROUNDS)
        ]
        rows.append(("speed_gpu", setting, 0, "peak_bytes", 0, 2.0**20, ""))
    return pd.DataFrame(rows, columns=COLUMNS)


def facts(card):
    """What the facts group says of a machine."""
    rows = [(f"machine/card={card or 'none'}", "is", 1.0), ("machine/cores", "cores", 2.0)]
    rows += [("ceiling/product=4096x4096x4096", "gflop_per_s", 5e4), ("ceiling/copy=1024", "gbyte_per_s", 3e3)] * bool(
        card
    )
    rows += [(setting, metric, value) for setting, metric, _, value in child.kernels()]
    return pd.DataFrame([("speed_gpu", s, 0, metric, 0.0, v, "") for s, metric, v in rows], columns=COLUMNS)


def lstm(E, H, T=100):
    """A case of the targets."""
    return Case("lstm", E, T, 64, H, H, "float32")


def made(*parts):
    """The report, its figures drawn."""
    with figures.style():
        report = analysis.analyse(pd.concat(parts, ignore_index=True))
        for figure in report.figures:
            assert "<path" in figures.svg(figure.canvas, figure.name)
    return report, {table.name: table.frame for table in report.tables}


def test_the_report_says_plainly_what_no_card_has_measured():
    """No card: every contender is named as not measured, with the command that would; the compiler's table stands."""
    report, tables = made(facts(""))
    assert len(tables["gpu"]) == len(analysis.CARD) >= 8
    assert tables["gpu"].state.str.startswith("not measured: this machine has no NVIDIA card").all()
    assert "nothing was measured on one here" in report.lead and analysis.COMMAND in report.lead
    assert not report.figures and "kernels" in tables and "targets" not in tables


@pytest.mark.parametrize(("lines", "card", "stays"), [(2, "", True), (1, "", False), (0, "", False), (2, "A100", 0)])
def test_a_cards_report_stays_where_there_is_none(lines, card, stays, tmp_path, monkeypatch):
    """Costs that were measured are not replaced by none; on a card, or where there are none, the report is written."""
    monkeypatch.setattr(sweep, "card", lambda: card)
    if lines:
        (tmp_path / "costs.csv").write_text("part,us\n" + (lines - 1) * "card,11.7\n")
    told = sweep.spared(tmp_path)
    assert told.startswith(f"the report in {tmp_path} is of a card") if stays else told == ""


def test_targets_are_judged_by_the_fastest_peer():
    """Ours take 10; of three peers 50, 40 and 31 the last counts: 3.1 of 3 is met, 2.9 is missed."""
    for fastest, wanted in ((31.0, "met"), (29.0, "missed")):
        us = {(name, lstm(32, 64)): value for name, value in zip(EXACT, (50.0, 40.0, fastest), strict=True)}
        report, tables = made(facts("A card"), records(us | {("cuda_fused", lstm(32, 64)): 10.0}))
        row = tables["targets"].set_index("setting").loc["LSTM E=32 H=64 B=64"].iloc[0]
        assert (row.result, row.ratio) == (wanted, f"{fastest / 10:.1f}")
        assert "measured on A card" in report.lead and f"{fastest / 10:.1f} of 3 at H=64 ({wanted})" in report.lead
        unmet = tables["targets"][tables["targets"].setting == "LSTM E=32 H=32 B=64"]
        assert set(unmet.result) == {"not measured"}


def test_a_ratio_that_stands_beside_the_targets_is_told_and_not_judged():
    """nn.LSTM in turn: five times as long is five times as long."""
    us = {("cuda_nn", lstm(8, 32)): 50.0, ("cuda_fused", lstm(8, 32)): 10.0}
    _, tables = made(facts("A card"), records(us))
    row = tables["targets"].set_index(["ours", "setting"]).loc["our module, fused", "LSTM E=8 H=32 B=64"]
    assert (row.result, row.ratio, row["at least"]) == ("nothing is demanded", "5", "")
    assert sum(math.isnan(target.ratio) for target in TARGETS) == len(TARGETS) - 3 - len(AHEAD)


@pytest.mark.parametrize(("fastest", "wanted"), [(10.1, "met"), (10.0, "met"), (9.9, "missed")])
def test_one_model_is_to_be_ahead_of_exact_peers_above_128_units(fastest, wanted):
    """Ours take 10: the fastest exact peer of 10.1 is behind, of 9.9 ahead; what is recorded stands beside."""
    (graph, *_), H = EXACT, 160
    us = {(name, lstm(1, width)): 50.0 for name in EXACT for width in (128, H)} | {(graph, lstm(1, H)): fastest}
    us |= {(RECORDED, lstm(1, H)): 5.0, ("cuda_fused_graph", lstm(1, H)): 8.0, ("cuda_auto", lstm(1, H)): fastest}
    report, tables = made(facts("A card"), records(us | {("cuda_fused", lstm(1, width)): 10.0 for width in (128, H)}))
    told = tables["targets"].set_index(["ours", "setting"])
    row = told.loc["our module, fused", f"LSTM E=1 H={H} B=64"]
    assert (row["at least"], row.ratio, row.result) == ("1", analysis.number(fastest / 10), wanted)
    assert f"{analysis.number(fastest / 10)} of 1 at H={H} ({wanted})" in report.lead
    assert "not measured at H=144" in report.lead and "H=128" not in report.lead
    beside = {"fused": (128, "5"), "fused, in a CUDA graph": (H, "0.625"), "auto": (H, "1")}
    for form, (width, ratio) in beside.items():
        row = told.loc[f"our module, {form}", f"LSTM E=1 H={width} B=64"]
        assert (row["at least"], row.result, row.ratio) == ("", "nothing is demanded", ratio)


def test_nothing_is_demanded_of_one_model_where_cudnn_may_be_taken():
    """Up to 128 units nothing is promised, and above that to be ahead: at 1, of peers in float32 alone."""
    demanded = [target for target in TARGETS if target.E == 1 and target.ratio > 0]
    assert [target.H for target in demanded] == [144, 160, 192, 256] and {target.B for target in demanded} == {64}
    assert {(target.ratio, target.form, target.peers) for target in demanded} == {(1.0, "cuda_fused", EXACT)}


def test_widths_between_are_a_group_of_their_own(monkeypatch):
    """What a card has measured keeps its keys: no entry of the new group stands in another one."""
    monkeypatch.setattr(sweep, "card", lambda: "A card")
    for preset in sweep.PRESETS:
        size, groups = sweep.PRESETS[preset], sweep.groups(preset, Options())
        for cell in size.cells if 1 in size.models else ():
            (one,) = (group for group in groups if group.setting == f"models/cell={cell}/E=1")
            assert [case[4] for _, name, _, case in one.settings["entries"] if name == "cuda_nn"] == [32, 64, 128, 256]
            (own,) = (group for group in groups if group.setting == f"models/cell={cell}/E=1/H=144-160-192")
            sizes = {(cell, E, T, B, H) for _, _, _, (cell, E, T, B, _, H, _) in own.settings["entries"]}
            assert sizes == {(cell, 1, size.T, 64, H) for H in BETWEEN}
        assert sum("144" in group.setting for group in groups) == (2 if 1 in size.models else 0)


def test_what_the_ceilings_allow_is_the_larger_of_two_times():
    """E=32, H=64, B=64: 335.5 MFLOP a step at 50 TFLOP/s are 6.71 us, 7.86 MB at 3 TB/s are 2.62 us."""
    _, tables = made(facts("A card"), records({("cuda_fused", lstm(32, 64)): 13.0}))
    (row,) = tables["ceiling_share"].to_dict("records")
    assert (row["products alone, µs a step"], row["memory alone, µs a step"]) == ("6.71", "2.62")
    assert (row["ours over the larger"], row["demanded"]) == ("1.94", "at most 2: met")


def test_the_ceiling_is_demanded_at_both_widths():
    """Of 32 LSTMs with 64 rows at H=32 and 64, and of nothing else; the other width may be missed by itself."""
    us = {("cuda_fused", lstm(E, H)): 12.0 for E in (8, 32) for H in (32, 64, 128)}
    _, tables = made(facts("A card"), records(us))
    told = tables["ceiling_share"].set_index("setting").demanded
    assert {setting: words for setting, words in told.items() if words} == {
        "E=32 H=32 B=64": "at most 2: missed",
        "E=32 H=64 B=64": "at most 2: met",
    }


def test_slopes_of_our_kernels_are_fitted():
    """A cost proportional to the models and to the steps has slopes 1 and 1; the reason of who cannot run stands."""
    ladders = [records({("cuda_fused", lstm(E, 64)): 2.0 * E for E in (8, 16, 32)}, "slope_E")]
    ladders.append(records({("cuda_fused", lstm(32, 64, T)): 50.0 for T in (100, 200, 400)}, "slope_T"))
    absent = ("speed_gpu", "missing/card/contender=flashrnn/reason=flashrnn not installed", 0, "missing", 0.0, 1.0, "")
    ours = records({("cuda_fused", lstm(32, 64)): 13.0})
    _, tables = made(facts("A card"), ours, *ladders, pd.DataFrame([absent], columns=COLUMNS))
    found = tables["slopes"].set_index(["cost of", "against"]).result
    assert found["LSTM", "T from 100 on"] == found["LSTM", "E from 8 on"] == "met"
    state = tables["gpu"].set_index("what").state
    assert state[CONTENDERS["flashrnn"].label] == "not measured: flashrnn not installed"


def test_missed_slopes_are_counted_and_named_in_front():
    """A cost that is constant in models has slope 0, too low, one squared in steps 2; what is not measured is told."""
    ladders = [records({("cuda_fused", lstm(E, 64)): 2.0 for E in (8, 16, 32)}, "slope_E")]
    ladders.append(records({("cuda_fused", lstm(32, 64, T)): T / 2.0 for T in (100, 200, 400)}, "slope_T"))
    report, _ = made(facts("A card"), records({("cuda_fused", lstm(32, 64)): 13.0}), *ladders)
    assert "RNN against T not measured, LSTM against T 2.000 of 0.9 to 1.1 (missed), RNN" in report.lead
    assert f"2 of 4 slopes: LSTM against T, LSTM against E ({analysis.FULL})." in report.lead
    steep, _ = made(facts("A card"), records({("cuda_fused", lstm(32, 64)): 13.0}), ladders[1])
    assert "where its time goes: 1 of 4 slopes: LSTM against T." in steep.lead and "Open" not in steep.lead


def test_widths_of_which_auto_was_not_asked_are_named():
    """Of one LSTM alone: neither several models nor an RNN stand for it; where all were asked nothing is said."""

    def lead(*cases):
        said = [(f"explain/device=cuda/cell={cell}/E={E}/B=64/H={H}/text=fused%3A why", "is") for cell, E, H in cases]
        asked = pd.DataFrame([("speed_gpu", s, 0, metric, 0.0, 1.0, "") for s, metric in said], columns=COLUMNS)
        return made(facts("A card"), records({("cuda_fused", lstm(32, 64)): 13.0}), asked)[0].lead

    named = "Which it takes for one LSTM of H=144, 160 and 192 was not asked."
    assert named in lead(("lstm", 1, 128), ("lstm", 1, 256), ("lstm", 8, 144), ("rnn", 1, 160))
    assert "was not asked" not in lead(*(("lstm", 1, H) for H in AHEAD))
    assert "takes was not asked." in lead() and "for one LSTM" not in lead()


def test_times_of_auto_by_an_older_rule_are_said_to_be_so():
    """By the records alone: where `auto` takes half as long again as fused it ran something else, where as long not."""

    def lead(auto):
        us = {("cuda_fused", lstm(1, H)): 30.0 for H in AHEAD}
        us |= {("cuda_auto", lstm(1, H)): auto.get(H, 31.0) for H in AHEAD}
        return made(facts("A card"), records(us))[0].lead

    said = lead({144: 48.0, 192: 45.0})
    assert "one LSTM of H=144 and 192 takes 1.5 to 1.6 times as long by `auto` as by our module, fused" in said
    assert analysis.SINCE in said and analysis.SINCE not in lead({})


def test_the_rule_that_is_said_to_hold_since_does():
    """For one LSTM whose steps are kernels of their own `auto` takes fused at every demanded width, and not at 128."""
    asked = {H: backend.Facts("cuda", "lstm", "float32", None, H, False, "stepped") for H in (128, *AHEAD)}
    found = {H: backend.decide(one, {}).backend for H, one in asked.items()}
    assert found == {128: "vendor"} | {H: "fused" for H in AHEAD} and f"H={AHEAD[0]} on" in analysis.SINCE


def test_what_was_tried_stands_beside_what_is_missed_as_the_decisions_tell_it():
    """Each number is in its decision; where nothing is missed nothing of it is said."""
    for one in TRIED:
        (told,) = (path.read_text("utf-8") for path in (ROOT / "decisions").glob(f"{one.decision}-*.md"))
        assert all(number in told for number in (one.before, one.after))
    missing = {("cuda_fused", lstm(32, 64)): 13.0, ("cuda_nn", lstm(32, 64)): 14.0}
    _, tables = made(facts("A card"), records(missing))
    assert len(tables["tried"]) == len(TRIED)
    _, tables = made(facts("A card"), records({("cuda_nn", lstm(32, 64)): 14.0}))
    assert "tried" not in tables


def test_open_is_explained_where_something_is():
    """Ratios around 3 are neither met nor missed: the lead says what that is, and does not call them missed."""
    us = {("cuda_nn", lstm(32, 64)): 30.0, ("cuda_fused", lstm(32, 64)): 10.0}
    rows = records(us)
    theirs = rows.setting.str.contains("cuda_nn") & (rows.metric == "us_per_step")
    rows.loc[theirs, "value"] *= 1 + (rows["index"] % 2 - 0.5) / 5
    report, _ = made(facts("A card"), rows)
    assert "at H=64 (open)" in report.lead and "Open: the interval holds a bound." in report.lead
    assert "misses" not in report.lead


@pytest.mark.parametrize("preset", ["tour", "quick", "full"])
def test_a_machine_with_a_card_measures_all_contenders(monkeypatch, preset):
    """Every group has each contender, in an experiment of its own; without a card the facts are all."""
    assert [group.setting for group in sweep.groups("quick", Options())] == ["facts"] or sweep.card()
    monkeypatch.setattr(sweep, "card", lambda: "A card")
    groups = sweep.groups(preset, Options())
    models = [group for group in groups if group.setting.startswith("models/")]
    assert {group.experiment for group in groups} == {"speed_gpu"}
    assert len({group.key for group in groups}) == len(groups)
    for group in models:
        names = {entry[1] for entry in group.settings["entries"]}
        assert names >= {*EXACT, RECORDED, *sweep.OURS}
    flash = [group.setting for group in models if any(entry[1] in sweep.FLASH for entry in group.settings["entries"])]
    assert flash == ([] if preset == "tour" else ["models/cell=lstm/E=32"])
    assert {group.card for group in groups} == {"A card"}
    assert [replace(group, card="").key for group in groups] == [group.key for group in groups]


def test_what_a_card_gave_is_said_to_come_from_it(tmp_path, monkeypatch):
    """Though the group's own engine computes on the processor; without a card the facts come from that."""
    monkeypatch.setattr(experiment, "run", lambda group, checkpoint: [])
    for card, device, names in (("A card", "cuda: A card", {"torch"}), ("", provenance.device(), set())):
        monkeypatch.setattr(sweep, "card", lambda card=card: card)
        (facts,) = (group for group in sweep.groups("smoke", Options()) if group.setting == "facts")
        with Store(tmp_path / f"{card}.sqlite") as store:
            compute([facts], store, InProcess(), quiet=True)
            (found,) = provenance.collect([facts], store, "a command")["computed_on"]
        assert found["device"] == device and names == {"torch"} & set(found)


def test_the_readme_says_what_one_model_takes():
    """Over torch.nn in turn: `auto` where it was measured with what it takes today, and fused where it takes that."""
    times = analysis.timed(read_csv(ROOT / "reports" / "speed_gpu" / "results.csv"))

    def over(cell, H, form):
        where = {"part": "card", "cell": cell, "E": 1, "H": H, "B": 64, "T": sweep.T, "dtype": "float32"}
        ours, theirs = (analysis.series(times, contender=name, **where) for name in (form, "cuda_nn"))
        return analysis.ratio(ours, theirs).value

    behind = [over("lstm", H, "cuda_auto") for H in (32, 64, 128)]
    behind += [over("rnn", H, "cuda_auto") for H in (32, 64, 128, *AHEAD)]
    ahead = [over("lstm", H, "cuda_fused") for H in AHEAD]
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    some, others = (
        "takes (.+?) to (.+?) times torch.nn's time on a GPU",
        "of 144 to 256 units, which takes (.+?) to (.+?) by",
    )
    said = re.search(f"one model alone {some}, but for an LSTM {others} the kernels", text)
    found = [min(behind), max(behind), min(ahead), max(ahead)]
    assert [float(number) for number in said.groups()] == [float(f"{value:.2g}") for value in found]
