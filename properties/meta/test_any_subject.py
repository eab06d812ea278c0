"""Any subject: whatever it is made of and whatever it does ends as a verdict with a sentence."""

import os
import pickle
import re
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import nn

from properties import check as check_command
from properties import child, form, guard, reduce, snippet, test_adjoint
from properties.cases import POOL, Plan, gradients, pooled, resized
from properties.check import Lacking, Told, Verdict, check, check_subject
from properties.child import isolated
from properties.explain import PLANS, differ, explain
from properties.guard import InProcess
from properties.handed_in import UNNAMED, arrays_of
from properties.laws import Broken, registry
from properties.loading import adapted, load_all
from properties.meta.carrier import Carrier, patched
from properties.meta.students import course as course_file
from properties.meta.students import function as function_file
from properties.meta.students import module as module_file
from properties.reduce import smallest
from properties.subject import CAPABILITIES
from properties.subjects import module
from properties.subjects.plain import Conventions
from properties.test_sizes import SIZES, sized

ROOT = Path(__file__).parents[2]
STUDENTS = Path(__file__).parent / "students"
FEW = ("value", "vjp", "purity")


def changed(folder, name, *changes, more=""):
    """A student's file with some lines replaced."""
    text = (STUDENTS / f"{name}.py").read_text("utf-8")
    for old, new in changes:
        assert old in text, f"{old!r} is not in {name}.py"
        text = text.replace(old, new)
    path = folder / f"changed_{name}.py"
    path.write_text(text + more)
    return path


# What a subject can be


def test_a_course_style_file_is_taken_as_it_is():
    """Over a sequence and by steps; the correct file breaks nothing, and the loss is judged too."""
    checks = check_subject(str(STUDENTS / "course.py"), (*FEW, "chain rule", "honesty", "split", "dtype"), 8)
    assert [checked.name for checked in checks] == ["course", "course (steps)"]
    assert checks.holds, str(checks)
    words = [{v.law: v.word for v in checked.verdicts} for checked in checks]
    assert (words[0]["split"], words[0]["chain rule"], words[1]["split"]) == ("holds", "holds", "holds")


@pytest.mark.parametrize("steps", ["", "step_"])
def test_of_a_half_finished_file_each_cell_is_judged_by_what_it_has(steps, tmp_path):
    """A wrong lstm_backward was not judged where there was no rnn_backward, and nothing was told to be broken."""
    wrong = ("dc * g * i * (1 - i)", "dc * g * i * (1 + i)")
    path = changed(tmp_path, "course", wrong, (f"def rnn_{steps}backward", f"def rnn_{steps}back"))
    named = {s.name: s for s in load_all(str(path))}
    end = " (steps)" if steps else ""
    assert list(named)[1 if steps else 0 :][:2] == [f"changed_course:rnn{end}", f"changed_course:lstm{end}"]
    assert len(named) == 3 and {s.cells for s in named.values()} == {("rnn",), ("lstm",), ("rnn", "lstm")}
    words = [here(s, ("value", "vjp"), ("float64",)).verdicts for s in list(named.values())[1 if steps else 0 :][:2]]
    assert [[v.word for v in found] for found in words] == [["holds", "cannot"], ["holds", "broken"]]


def test_one_wrong_gradient_term_is_named_with_its_smallest_input(tmp_path):
    """Law, place, got and wanted, the gate whose rows are off, and a program with the student's own function alone."""
    path = changed(tmp_path, "course", ("dc * g * i * (1 - i)", "dc * g * i * (1 + i)"))
    checks = check_subject(str(path), ("vjp",), 8)
    told = checks.breaks[0]
    said = re.search(r": (\w+)\[[0, ]+\] is -?[\d.e-]+, must be -?[\d.e-]+ within", told.sentence)
    own = {"x": "dx[0, 0, 0]", "weight_ih": "dWx[0, 0]", "weight_hh": "dWh[0, 0]"}[said[1]]
    assert "vjp" in str(told) and "T=1, B=1, D=1, H=1" in told.example and f"in its own arrays: {own}" in str(told)
    assert "wrong in the rows of gate i alone" in check_subject(str(path), ("vjp",), 8).breaks[1].explanation
    assert "from changed_course import" in told.program and "properties" not in told.program.replace(str(tmp_path), "")
    done = subprocess.run([sys.executable, "-c", told.program], capture_output=True, text=True)
    assert done.returncode == 1 and "AssertionError" in done.stderr and " must be " in done.stdout, done.stderr


def test_functions_are_taken_with_their_backward():
    """A function with a backward has all laws of gradients; one without has those of values."""
    checks = check_subject(function_file, (*FEW, "second order"), 8)
    assert checks.holds, str(checks)
    words = {checked.name.rpartition(":")[2]: {v.law: v.word for v in checked.verdicts} for checked in checks}
    assert words["lstm"] == {"purity": "holds", "second order": "holds", "value": "holds", "vjp": "holds"}
    assert words["rnn"]["value"] == "holds" and words["rnn"]["vjp"] == "cannot"


@pytest.mark.parametrize(
    "conventions",
    [{"gates": "oigf"}, {"transposed": True}, {"batch_first": True}, {"biases": 1}, {"gates": "fgoi", "biases": 1}],
    ids=str,
)
def test_a_functions_conventions_are_attributes(conventions):
    """Order of gates, layout and biases are converted there and back: values and gradients are right."""
    checks = check_subject(in_conventions(**conventions), ("value", "vjp"), 4)
    assert checks.holds, str(checks)


def in_conventions(gates="ifgo", transposed=False, batch_first=False, biases=2):
    """The students' LSTM as another project would have it."""

    def rows(a, back=False):
        blocks, order = np.split(a, 4), [gates.index(g) for g in "ifgo"]
        return np.concatenate([blocks[k] for k in (np.argsort(order) if back else order)])

    def plain(x, h0, c0, W, R, *b):
        x, (W, R) = x.swapaxes(0, 1) if batch_first else x, ((w.T if transposed else w) for w in (W, R))
        return x, h0, c0, rows(W), rows(R), rows(b[0]), rows(b[1]) if biases == 2 else np.zeros_like(b[0])

    def turn(a):
        return np.ascontiguousarray(a.swapaxes(0, 1)) if batch_first else a

    def weight(d):
        d = rows(d, back=True)
        return np.ascontiguousarray(d.T) if transposed else d

    def backward(dhs, dhT, dcT, *given):
        dx, dh0, dc0, dW, dR, *db = function_file.lstm_backward(turn(dhs), dhT, dcT, *plain(*given))
        return turn(dx), dh0, dc0, weight(dW), weight(dR), *(rows(b, back=True) for b in db[:biases])

    if biases == 2:

        def lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh):
            hs, *last = function_file.lstm(*plain(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh))
            return turn(hs), *last
    else:

        def lstm(x, h0, c0, weight_ih, weight_hh, bias):
            hs, *last = function_file.lstm(*plain(x, h0, c0, weight_ih, weight_hh, bias))
            return turn(hs), *last

    lstm.gates, lstm.transposed, lstm.batch_first, lstm.biases = gates, transposed, batch_first, biases
    lstm.backward = backward
    return lstm


class OwnLSTM(module_file.LSTM):
    """A user's module: it ignores `bidirectional`, which its constructor takes."""

    def __init__(self, input_size, hidden_size, bidirectional=False):
        super().__init__(input_size, hidden_size)


ONE = "from torch import nn\n\n\nclass LSTM(nn.LSTM):\n    pass\n"


def test_a_files_one_torch_module_is_taken_and_of_several_the_names_are_said(tmp_path):
    """What the file imports is not its own, and a class of something else can be no subject."""
    path = tmp_path / "own_module.py"
    path.write_text(ONE + "\n\nclass Config:\n    pass\n")
    (subject,) = load_all(str(path))
    assert (subject.name, subject.cells) == ("LSTM", ("lstm",))
    path.write_text(ONE + "\n\nSame = LSTM\n")
    assert load_all(str(path))[0].name == "LSTM"
    path.write_text(ONE.replace("class LSTM", "class Helper") + ONE)
    with pytest.raises(ValueError, match=r"has the classes Helper, LSTM: name one as own_module\.py:LSTM\.$"):
        load_all(str(path))
    path.write_text("class Mine:\n    pass\n")  # which nothing can take by its name either
    with pytest.raises(ValueError, match=r"got 'own_module', a module\.$"):
        load_all(str(path))


@pytest.mark.parametrize("kind", [module_file.LSTM, module_file.Cell])
def test_a_module_that_always_has_biases_is_taken_as_it_is(kind):
    """Its constructor has no `bias`: calls without biases give it zeros, whose gradients ended the check.

    Its parameters stand in an order of its own, by which the gradients of gradients were exchanged. Of one sum of its
    biases autograd gives one gradient, in the same memory for both, which is none that the module shares.
    """
    laws = ("value", "vjp", "backward again", "bias", "purity", "second order")
    checked = here(adapted(kind, kind.__name__)[0], laws, ("float64",))
    assert {v.word for v in checked.verdicts} == {"holds"}, str(checked)


@pytest.mark.parametrize("default", [True, False])
def test_a_bias_that_the_constructor_ignores_is_as_none_there(default, tmp_path):
    """The biases are there whatever it is: that was told as an error of load_state_dict."""
    (subject,) = load_all(f"{changed(tmp_path, 'module', ('hidden_size):', f'hidden_size, bias={default}):'))}:LSTM")
    checked = here(subject, ("value", "bias"), ("float64",))
    assert {v.word for v in checked.verdicts} == {"holds"}, str(checked)


MODULES_FAULTS = {
    "value": ("i, f, g, o = a.chunk", "i, f, o, g = a.chunk"),
    "vjp": ("torch.sigmoid(f) * c +", "torch.sigmoid(f) * c.detach() +"),
    "bias": ("+ self.bias_hh_l0", ""),
}


@pytest.mark.parametrize("law", MODULES_FAULTS)
def test_a_fault_of_such_a_module_is_told(law, tmp_path):
    """And nothing of its biases is."""
    (subject,) = load_all(f"{changed(tmp_path, 'module', MODULES_FAULTS[law])}:LSTM")
    checked = here(subject, (law,), ("float64",))
    assert [v.word for v in checked.verdicts] == ["broken"], str(checked)


LAYER = "return torch.stack(hs), (h[None], c[None])"
WRITES = {
    "parameter": "self.bias_ih_l0.data.mul_(0.9)",
    "input": "x.data.mul_(0.9)",
    "state": "state[1].data.mul_(0.9)",
}


@pytest.mark.parametrize("what", WRITES)
@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_what_a_module_changes_of_its_call_is_told(what, kind, tmp_path):
    """Its results are right, and the next call gives it all anew: no law but "purity" could see it."""
    writes = WRITES[what].replace("state[", "state is None or state[")
    change = f"        if torch.is_grad_enabled() == {kind == 'backward'}:\n            {writes}\n        {LAYER}"
    (subject,) = load_all(f"{changed(tmp_path, 'module', (f'        {LAYER}', change))}:LSTM")
    checked = here(subject, ("value", "purity"), ("float64",))
    assert {v.law: v.word for v in checked.verdicts} == {"value": "holds", "purity": "broken"}, str(checked)
    told = {told.test: told.sentence for told in checked.breaks}
    name = {"parameter": "bias_ih", "input": "x", "state": "c0"}[what]
    says = told["test_inputs_parameters_states_and_cotangents_stay_as_they_are"]
    assert re.search(rf"{kind} changed `{name}`|after {kind} `{name}`\[[\d, ]+\] must be ", says), says


def test_one_array_for_both_gradients_by_biases_is_shared_memory(tmp_path):
    """It was copied for every form, and is for those alone that have one bias."""
    path = changed(tmp_path, "function", ("sums[2], sums[2].copy()", "sums[2], sums[2]"))
    (told,) = here(load_all(f"{path}:lstm")[0], ("purity",), ("float64",)).breaks
    assert told.test == "test_results_share_no_memory_with_arguments_or_each_other"
    for subject in (in_conventions(biases=1), *adapted(course_file, "course")):
        assert check_subject(subject, ("purity",), 2).holds


BEGIN = "        super().__init__()\n"
BUFFER = (BEGIN, f"{BEGIN}        self.register_buffer('gain', torch.ones(1))\n")
USES = (("torch.tanh(c)\n", "torch.tanh(c) * self.gain\n"), ("torch.tanh(x @", "self.gain * torch.tanh(x @"))


@pytest.mark.parametrize("kind", ["LSTM", "Cell"])
def test_a_modules_buffers_are_its_own(kind, tmp_path):
    """They keep what they hold: a strict load_state_dict took each for a missing key, and broke every law."""
    (subject,) = load_all(f"{changed(tmp_path, 'module', BUFFER, *USES)}:{kind}")
    laws = ("value", "exchange") if kind == "LSTM" else ("value",)  # a cell has no export
    assert {v.word for v in here(subject, laws, ("float32", "float64")).verdicts} == {"holds"}
    (subject,) = load_all(f"{changed(tmp_path, 'module', BUFFER, *USES, ('ones', 'zeros'))}:{kind}")
    assert here(subject, ("value",), ("float64",)).verdicts[0].word == "broken"


@pytest.mark.parametrize(
    "more",
    [
        "self.norm = nn.LayerNorm(3)",
        "self.weight_ho_l0 = nn.Parameter(torch.zeros(3, 3))",
        "del self.bias_hh_l0",
        "del self.bias_hh_l0, self.bias_ih_l0",
    ],
)
def test_a_module_of_other_parameters_is_refused_in_one_line(more, tmp_path):
    """Nobody could hand it theirs: every law was told to be broken by an error of load_state_dict.

    Nor could a module that never has biases do what most cases ask for, which is no break of "value".
    """
    last = "torch.randn(4 * hidden_size, hidden_size) / 10)\n"
    path = changed(tmp_path, "module", (last, f"{last}        {more}\n"))
    says = r"LSTM\(2, 3\) must have parameters as torch.nn's and no others: .*; got {.*}\.$"
    with pytest.raises(ValueError, match=says):
        load_all(f"{path}:LSTM")


CELL = "return torch.tanh(x @"
OTHER_RESULTS = {
    "h alone": (LAYER, "return torch.stack(hs)", "must return h and the last state, as (h, (hT, cT)); got a Tensor."),
    "dict": (LAYER, "return {'h': torch.stack(hs), 'hT': h, 'cT': c}", "as (h, (hT, cT)); got a dict."),
    "list": (LAYER, "return hs, (h[None], c[None])", "`h` must be a tensor of shape (1, 1, 1); got a list of Tensor."),
    "hT alone": (LAYER, "return torch.stack(hs), h[None]", "must be a pair of tensors, of h and c; got a Tensor."),
    "no layers": (LAYER, "return torch.stack(hs), (h, c)", "`hT` must have shape (1, 1, 1); got (1, 1)."),
    "rows first": (LAYER, LAYER.replace("hs)", "hs, 1)"), "`h` must have shape (2, 1, 1); got (1, 2, 1)."),
    "cell": (CELL, "return None, torch.tanh(x @", "`hT` must be a tensor of shape (1, 1); got a tuple of NoneType, "),
}


@pytest.mark.parametrize("came", OTHER_RESULTS)
def test_a_module_that_returns_something_else_is_told_what_must_come(came, tmp_path):
    """By its own name, not by an error of what unpacks it or of autograd."""
    old, new, says = OTHER_RESULTS[came]
    word = f"{changed(tmp_path, 'module', (old, new))}:{'Cell' if came == 'cell' else 'LSTM'}"
    checked = here(load_all(word)[0], ("value", "vjp"), ("float64",))
    assert [told.law for told in checked.breaks] == ["value", "vjp"]
    assert all(says in told.sentence for told in checked.breaks), str(checked)


class KeepsItsState(nn.LSTM):
    """Where no state is given, it goes on from the last one."""

    hidden = None

    def forward(self, x, hx=None):
        """As torch.nn.LSTM."""
        fits = self.hidden is not None and self.hidden[0].shape[1] == x.shape[1]
        h, last = super().forward(x, self.hidden if hx is None and fits else hx)
        self.hidden = tuple(a.detach() for a in last)
        return h, last


def test_a_module_that_keeps_its_last_state_has_a_memory():
    """A module serves many calls, as its users have it: what it keeps is seen by the laws of memory."""
    (checked,) = check_subject(KeepsItsState, ("no memory", "omitted state"), 12)
    assert [v.word for v in checked.verdicts] == ["broken", "broken"], str(checked)


def test_few_modules_are_kept_and_none_is_sent(monkeypatch):
    """The oldest goes, the mode is the call's, and a subject is pickled without them."""
    (subject,) = adapted(nn.LSTM, "LSTM")
    monkeypatch.setattr(module, "KEPT", 3)
    cases = [Plan(3, 2, 4, H, seed=7, L=2).case("lstm", "float32") for H in (2, 3, 5, 6, 7)]
    for case in cases:
        trained = subject.module(replace(case.stack, train=True, dropout=0.5))
        assert trained.training and trained is subject.module(replace(case.stack, train=True, dropout=0.5))
        assert not subject.module(replace(case.stack, dropout=0.5)).training
    assert [made.hidden_size for made in subject.kept.values()] == [5, 6, 7]
    assert pickle.loads(pickle.dumps(subject)).kept == {}


class Detaches(nn.LSTM):
    """The state is detached, as for truncated backpropagation."""

    def forward(self, x, hx=None):
        """As torch.nn.LSTM."""
        return super().forward(x, None if hx is None else tuple(a.detach() for a in hx))


class DetachesItsLast(nn.LSTM):
    """So is the last state."""

    def forward(self, x, hx=None):
        """As torch.nn.LSTM."""
        h, last = super().forward(x, hx)
        return h, tuple(a.detach() for a in last)


def test_a_module_that_detaches_its_last_state_ignores_the_gradient_by_it():
    """As truncated backpropagation does: told as that, and not that an element of a tuple requires no grad."""
    (checked,) = check_subject(DetachesItsLast, ("vjp",), 4)
    assert checked.verdicts[0].word == "broken" and "requires_grad" not in str(checked)
    assert re.search(r"explain it: the gradients? that comes? in by hT and cT", str(checked)), str(checked)


class DetachesAll(nn.LSTM):
    """So is every output."""

    forward = torch.no_grad()(nn.LSTM.forward)


@pytest.mark.parametrize("kind", [DetachesItsLast, DetachesAll])
def test_what_a_module_detaches_has_no_second_derivative_either(kind):
    """It is a wrong number, and no refusal in other words: "element 2 of tensors does not require grad"."""
    (told,) = here(adapted(kind, kind.__name__)[0], ("second order",), ("float64",)).breaks
    assert re.search(r"\] is -?[\d.]+, must be -?[\d.]+", told.sentence), told.sentence


def test_a_module_that_detaches_its_state_breaks_vjp_by_the_states_name():
    """Its gradient counts as zero, which is wrong by a number; torch's own words name nothing."""
    (checked,) = check_subject(Detaches, ("vjp",), 4)
    assert checked.verdicts[0].word == "broken"
    assert re.search(r"[hc]0\[\d, \d\] is 0.0, must be -?[\d.]+", str(checked)), str(checked)
    assert "graph" not in str(checked)


@pytest.mark.parametrize("found", [nn.LSTM, nn.RNN, nn.LSTMCell, nn.RNNCell], ids=str)
def test_a_torch_module_is_taken_by_its_class(found):
    """Layers and cells: what they can do is read off the constructor."""
    checks = check_subject(found, (*FEW, "honesty", "split"), 5)
    assert checks.holds, str(checks)
    (subject,) = adapted(found, "found")
    assert ("layers" in subject.capabilities) == (found not in (nn.LSTMCell, nn.RNNCell))
    assert subject.cells == (("lstm",) if "LSTM" in str(found) else ("rnn", "rnn_relu"))


@pytest.mark.parametrize("found", [nn.LSTM(3, 4, batch_first=True), nn.RNNCell(3, 4)], ids=str)
def test_a_module_that_is_there_is_refused_in_one_line(found):
    """Its class was judged in its place, with other options than its own."""
    kind = type(found).__name__
    with pytest.raises(ValueError, match=rf"^{kind} must be a class of modules, .*; got a module: hand over {kind}\.$"):
        check_subject(found, ("value",), 1)


class OtherDefaults(nn.LSTM):
    """Options that torch.nn has otherwise, or without a default."""

    def __init__(self, input_size, hidden_size, batch_first, num_layers=2, bias=False):
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first)


def test_a_call_has_its_own_options_whatever_the_defaults_are():
    """What a call asks for was left out as usual where the constructor had something else as usual."""
    checked = here(adapted(OtherDefaults, "OtherDefaults")[0], ("value", "layout", "bias"), ("float64",))
    assert {v.word for v in checked.verdicts} == {"holds"}, str(checked)


def test_an_option_that_is_taken_and_ignored_is_a_break():
    """`bidirectional` in the constructor is a promise."""
    (checked,) = check_subject(OwnLSTM, ("reversal", "honesty"), 5)
    words = {v.law: v.word for v in checked.verdicts}
    assert words["reversal"] == "broken"


def test_a_subject_that_cannot_run_a_law_says_what_it_would_have_to_declare():
    """In the words of CAPABILITIES."""
    (checked,) = check_subject(function_file.rnn, ("lengths", "stack"), 3)
    assert {v.word for v in checked.verdicts} == {"cannot"}
    assert "it does not declare that it takes rows of different lengths" in str(checked)


def test_a_law_that_holds_as_far_as_it_was_run_says_how_many_tests_were_not():
    """And what they need; whoever declares that runs them all. Beside a broken law it stands too."""
    (checked,) = check_subject(function_file.rnn, ("bias",), 1)
    assert re.search(
        r"^bias +holds .*, 2 tests not run \(not declared: backward, one bias\)$", str(checked), re.MULTILINE
    )
    assert checked.holds
    (checked,) = check_subject(OwnLSTM, ("reversal",), 1)
    assert re.search(r"^reversal +broken .* 1 test not run \(not declared: lengths\)$", str(checked), re.MULTILINE)
    (checked,) = check_subject("numpy_twin", ("bias",), 1)
    assert "not run" not in str(checked)


def test_a_test_that_ran_for_one_cell_is_not_run_for_the_others_alone():
    """A course's RNN carries its state and its LSTM has none to carry: three tests lack one thing, for one cell."""
    over_time, _ = check_subject(course_file, ("split", "bias"), 1)
    says = {v.law: v.left for v in over_time.verdicts}
    assert says["split"] == "3 tests not run for lstm (not declared: cell state)"
    assert says["bias"] == "1 test not run (not declared: one bias)"


def test_tests_that_did_not_run_and_those_that_ran_for_other_cells_are_told_apart():
    """Each group with what it needs; a law without a case says it in a sentence instead."""
    verdict = Verdict("law", cases=1, ran={"a", "b"})
    verdict.lacking = [Lacking("a", CAPABILITIES["cell state"], "lstm"), Lacking("b", CAPABILITIES["lengths"], "lstm")]
    verdict.lacking += [Lacking("c", CAPABILITIES["backward"], cell) for cell in ("rnn", "lstm")]
    verdict.lacking += [Lacking("b", CAPABILITIES["lengths"], "gru")]
    assert verdict.left == (
        "1 test not run (not declared: backward), 1 test not run for gru and lstm (not declared: lengths), "
        "1 test not run for lstm (not declared: cell state)"
    )
    assert Verdict("law", lacking=verdict.lacking).left == ""


OWN = {
    "argument": "def alpha(self): return 0",
    "none": "capabilities = None",
    "letters": "cells = 'lstm'",
    "widths": "dtypes = [32, 64]",
    "constructor": "def __init__(self): raise KeyError('no weights')",
}
"""What a Subject of someone's own may have wrong."""

LISTED = "must be words in a tuple, a list or a set, even one alone"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("no/such/file.py", "there is no file no/such/file.py"),
        ("no/such/file", "got 'no/such/file': ValueError: a file must end in .py"),
        ("{folder}/raises", "ValueError: a file must end in .py: name {folder}/raises.py"),
        ("{folder}/raises:lstm", "ValueError: a file must end in .py: name {folder}/raises.py"),
        ("{folder}/own.ipynb", "must end in .py: `jupyter nbconvert --to script {folder}/own.ipynb` makes one"),
        ("notes.txt", "got 'notes.txt': ValueError: a file must end in .py"),
        ("{folder}/raises.py", "KeyError: 'no'"),
        ("{folder}/aborts.py", "its process was ended by SIGABRT"),
        ("{folder}/empty.py", "a subject must be a properties.subject.Subject; a function lstm"),
        ("{folder}/slip.py", "got 'gate_order' (perhaps gates?)"),
        ("{folder}/wrong.py", "`gates` must be an order of the letters i, f, g, o; got 'ifgg'"),
        ("{folder}/wide.py", "wide.py:Wide"),
        ("properties.cases:nothing", "has no attribute 'nothing'"),
        ("{folder}/exits.py", "SystemExit: 3"),
        ("{folder}/argument.py", "TypeError: subject.alpha() takes 1 positional argument but 2 were given"),
        ("{folder}/none.py", f"`capabilities` of unnamed {LISTED}; got None."),
        ("{folder}/letters.py", f"`cells` of unnamed {LISTED}; got 'lstm'."),
        ("{folder}/widths.py", f"`dtypes` of unnamed {LISTED}; got [32, 64]."),
        ("{folder}/constructor.py", "KeyError: 'no weights'"),
        ("{folder}/slots.py", "slots.capabilities must be some of backward, states,"),
    ],
)
def test_what_cannot_be_a_subject_is_refused_in_one_line(word, says, tmp_path, monkeypatch):
    """The line names the word, the rule and what came."""
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("of a course")
    texts = {"raises": "raise KeyError('no')", "aborts": "import os\nos.abort()", "empty": "x = 1"}
    texts["slip"] = "def lstm(x, h0, c0, W, R, b, b2): ...\nlstm.gate_order = 'ifog'"
    texts["wrong"] = "def lstm(x, h0, c0, W, R, b, b2): ...\nlstm.gates = 'ifgg'"
    texts["wide"] = "import torch\nclass Wide(torch.nn.Module):\n    def __init__(self, n): super().__init__()"
    texts["slots"] = "def lstm(x, h0, c0, W, R, b, b2): ...\nlstm.capabilities = None"
    texts["exits"] = "import sys\nsys.exit(3)"
    begin = "from properties.subject import Subject\nclass subject(Subject):\n    "
    texts |= {name: begin + own for name, own in OWN.items()}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    word = word.format(folder=tmp_path) + (":Wide" if "wide" in word else "")
    for load in (isolated, *(() if "aborts" in word else (load_all,))):
        with pytest.raises(ValueError) as refusal:
            load(word)
        assert (
            says.replace("{folder}", str(tmp_path)) in str(refusal.value)
            and word in str(refusal.value)
            and "\n" not in str(refusal.value)
        )


def test_a_function_is_the_cell_that_it_is_called_whatever_its_arguments_are_named(tmp_path):
    """But for x, names are free: `h_0` and `c_0` made an lstm an RNN, which broke every law with a TypeError."""
    path = changed(tmp_path, "function", ("h0", "h_0"), ("c0", "c_0"))
    found = [*load_all(str(path)), *load_all(f"{path}:lstm"), *load_all(f"{path}:rnn")]
    assert [subject.cells for subject in found] == [("rnn",), ("lstm",), ("lstm",), ("rnn",)]
    for subject in found[:2]:
        assert check(InProcess(subject), ("range",), settings(settings.get_profile("ci"), max_examples=2)).holds


WITH_BACKWARD = "def lstm(x, h0, c0, W, R, b, b2): ...\nlstm.backward = {}"


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("def lstm(x, h, weight_ih, weight_hh, bias_ih, bias_hh): ...", "x, h, weight_ih, weight_hh, bias_ih, bias_hh"),
        ("def lstm(h, c, x, W, R, b, b2): ...", "h, c, x, W, R, b, b2"),
        ("def rnn(x, h0, c0, W, R, b, b2): ...", "x, h0, c0, W, R, b, b2"),
        ("def lstm(x, h0, c0, W, R, b): ...\nlstm.biases = 2", "x, h0, c0, W, R, b"),
        ("def lstm(x, h0, c0, W, R, b, b2): ...\nlstm.capabilities = ['lengths']", "x, h0, c0, W, R, b, b2"),
        ("def lstm(): ...", ""),
        (WITH_BACKWARD.format("lambda dh: None"), "dh"),
        (WITH_BACKWARD.format("lambda dh, dhT, x, h0, c0, W, R, b, b2: 0"), "dh, dhT, x, h0, c0, W, R, b, b2"),
        (
            "def rnn(x, h0, W, R, b, b2, lengths): ...\nrnn.capabilities = ['lengths']\n"
            "rnn.backward = lambda dh, dhT, x, h0, W, R, b, b2: 0",
            "dh, dhT, x, h0, W, R, b, b2",
        ),
    ],
)
def test_a_function_that_cannot_be_called_so_is_refused_in_one_line(text, got, tmp_path):
    """That is no broken law: as many arrays as the cell has, x before them, and lengths where they are declared.

    For a backward the gradients by the outputs come first, and all names are free.
    """
    path = tmp_path / "other.py"
    path.write_text(text)
    for word in (str(path), f"{path}:{text[4:].partition('(')[0]}"):
        with pytest.raises(
            ValueError, match=rf"^--subject=.*: arguments of .* must be (x and|what) .*, since .*; got \({got}\)\.$"
        ):
            load_all(word)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lstm_forward(x, h0, Wx", "lstm_forward(x, Wx", "lstm_forward .* (x, h0, Wx, Wh, b), .* got (x, Wx, Wh, b)."),
        ("rnn_backward(dh, c", "rnn_backward(dh, *, c", "rnn_backward .* (dh, cache), .* got (dh, *, cache)."),
        (
            "lstm_step_backward(dnext_h, dnext_c, ",
            "lstm_step_backward(dnext_h, ",
            "lstm_step_backward .* (dnext_h, dnext_c, cache), .* got (dnext_h, cache).",
        ),
    ],
)
def test_a_courses_functions_that_cannot_be_called_so_are_refused_in_one_line(old, new, says, tmp_path):
    """As a function's: every law told it anew."""
    path = changed(tmp_path, "course", (f"def {old}", f"def {new}"))
    says = re.escape(says).replace(r"\ \.\*\ ", " .* ")
    with pytest.raises(ValueError, match=rf"^--subject=.*: arguments of changed_course.*, {says}$"):
        load_all(str(path))


def test_a_course_declares_its_alpha_in_the_file(tmp_path):
    """For both of its subjects; it was passed over in silence."""
    for subject in load_all(str(changed(tmp_path, "course", more="\n\nalpha = 2\n"))):
        assert subject.alpha("float64") == 2 * subject.u("float64")
    with pytest.raises(ValueError, match=r"`alpha` of changed_course must be a number from 0 to 4, .*; got 5\.$"):
        load_all(str(changed(tmp_path, "course", more="\n\nalpha = 5\n")))


def test_a_file_is_judged_as_it_is_written_now(tmp_path, monkeypatch):
    """Also where an edit leaves its size and its second as they were, by which Python knows what it has compiled."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    for alpha in (2, 3):
        path = changed(tmp_path, "course", more=f"\n\nalpha = {alpha}\n")
        os.utime(path, (1e9, 1e9))
        for subject in load_all(str(path)):
            assert subject.alpha("float64") == alpha * subject.u("float64")


class Callable:
    """An LSTM with fields of its own."""

    units = 3

    def __init__(self):
        self.calls = 0

    def __call__(self, *given):
        return function_file.lstm(*given)


@pytest.mark.parametrize(
    "found",
    [partial(function_file.lstm), Callable(), lru_cache(function_file.lstm)],
    ids=["partial", "object", "lru_cache"],
)
def test_another_callable_is_refused_in_one_line(found):
    """A TypeError of inspect's, or an unknown attribute, which was a field of the object, was no help."""
    for subject in (found, SimpleNamespace(lstm=found)):
        with pytest.raises(
            ValueError, match=r" must be a function that Python has the source of; got a \w+: write `def"
        ):
            adapted(subject, "lstm")


@pytest.mark.parametrize("stem", ["my-lstm", "2_lstm", "class"])
@pytest.mark.parametrize("name", ["course", "function"])
def test_a_program_imports_a_file_by_any_name(name, stem, tmp_path):
    """`from my-lstm import ...` is none of Python's."""
    path = changed(tmp_path, name).rename(tmp_path / f"{stem}.py")
    for subject in load_all(str(path)):
        done = subprocess.run([sys.executable, "-c", subject.imports], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        own = subject.text(subject.cells[0], False).partition(" = ")
        assert re.search(r"\b(rnn|lstm)\w*(?=\()", own[2] or own[0])[0] in subject.imports


@pytest.mark.parametrize("name", ["course", "function"])
def test_a_program_imports_a_module_of_a_package_from_its_root(name, tmp_path, monkeypatch):
    """With the package's own folder as the path, its name could not be found there."""
    for package in ("own_package", "own_package/inner"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    changed(tmp_path, name).rename(tmp_path / "own_package" / "inner" / f"a_{name}.py")
    (tmp_path / "own_package" / "inner" / "__init__.py").write_text(f"from own_package.inner.a_{name} import *\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    for word in (f"own_package.inner.a_{name}", "own_package.inner"):
        for subject in load_all(word):
            assert "own_package.inner" in subject.imports
            done = subprocess.run([sys.executable, "-c", subject.imports], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


IN_A_CLASS = "\n\nclass Own:\n    def run(self, *given):\n        return first(*given)\n\n\n"
FOUND_AS = {
    "lambda": ("", "first, lstm = lstm, lambda *given: first(*given)", "lstm"),
    "bound method": (IN_A_CLASS, "first, lstm = lstm, Own().run", "lstm"),
    "renamed": ("", "subject, lstm = lstm, None", "subject"),
    "under its name": ("", "other = lstm", "lstm"),
}


@pytest.mark.parametrize("found", FOUND_AS)
def test_a_program_imports_a_function_by_the_name_that_it_is_found_under(found, tmp_path):
    """`from file import <lambda>` is none of Python's, and a method's own name is none of the file's."""
    before, line, name = FOUND_AS[found]
    path = changed(tmp_path, "function", more=f"{before}\n\n{line}\n")
    subject = load_all(f"{path}:{name}" if name == "lstm" else str(path))[0]
    assert subject.text("lstm", False).startswith(f"hs, hT, cT = {name}(x, ")
    assert subject.imports.endswith(f"import {name}")
    done = subprocess.run([sys.executable, "-c", subject.imports], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_function_that_no_program_can_import_has_no_imports():
    """It stands in another function, under whose module's names it is not."""
    assert in_conventions().__module__ == __name__
    assert adapted(in_conventions(), "lstm")[0].imports == ""


def test_a_backward_is_a_function_of_whatever_names(tmp_path):
    """As many arguments as it is given are enough; anything else is refused."""
    path = tmp_path / "other.py"
    path.write_text(WITH_BACKWARD.format("lambda a, b, c, d, *more: 0"))
    (subject,) = load_all(str(path))
    assert "backward" in subject.capabilities
    path.write_text(WITH_BACKWARD.format("3"))
    with pytest.raises(ValueError, match=r": other.backward must be a function; got 3\.$"):
        load_all(str(path))


OWN_ALPHA = "from properties.subject import Subject\nclass subject(Subject):\n    def alpha(self, dtype): return {}"


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("def lstm(x, h0, c0, W, R, b, b2): ...\nlstm.alpha = 4.5", "4.5"),
        ("def lstm(x, h0, c0, W, R, b, b2): ...\nlstm.alpha = 'two'", "'two'"),
        ("import torch\nclass subject(torch.nn.LSTM):\n    alpha = 'two'", "'two'"),
        ("import torch\nclass subject(torch.nn.LSTM):\n    alpha = -1", "-1"),
        (OWN_ALPHA.format("float('inf')"), "inf"),
        (OWN_ALPHA.format("None"), "None"),
    ],
)
def test_alpha_is_a_number_from_0_to_4_of_every_kind_of_subject(text, got, tmp_path):
    """A wider bound would hide any error: with inf the constant 7 agreed with every h."""
    path = tmp_path / "lax.py"
    path.write_text(text)
    with pytest.raises(
        ValueError, match=rf"^--subject=.*lax.py: `alpha` of .* must be a number from 0 to 4.*; got {got}"
    ):
        load_all(str(path))


def test_the_table_says_by_how_much_a_subject_widens_its_bounds(monkeypatch):
    """Where it declares an alpha; part of a roundoff too, and the largest where dtypes differ."""
    (checked,) = check_subject(in_conventions(), ("dtype",), 1)
    assert "alpha" not in str(checked)
    lax = in_conventions()
    lax.alpha = 2.5
    (checked,) = check_subject(lax, ("dtype",), 1)
    assert str(checked).startswith(f"lstm (numpy {np.__version__}), alpha 2.5 u: ")
    (twin,) = load_all("numpy_twin")
    monkeypatch.setattr(twin, "alpha", lambda dtype: 3 * twin.u(dtype) * (dtype == "float32"))
    (checked,) = check_subject(twin, ("dtype",), 1)
    assert ", alpha 3 u: " in str(checked)


def test_pytest_tells_a_students_break(tmp_path):
    """The header names the subject; the failure is the sentence, the explanation and the input, not a traceback."""
    path = changed(tmp_path, "function", ("i, f, g, o = np.split", "i, f, o, g = np.split"))
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "properties/test_value.py", f"--subject={path}:lstm"]
    done = subprocess.run([*command, "-k", "float64"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert re.search(r"^subjects: lstm \(numpy", done.stdout, re.MULTILINE)
    assert "law 'value' is broken" in done.stdout
    assert "what would explain it: the gates are ordered i, f, o, g, not i, f, g, o" in done.stdout
    assert "weight_hh = np.array([[" in done.stdout and "Traceback" not in done.stdout


def test_the_command_loads_all_words_before_it_checks_one(monkeypatch, capsys):
    """One that names nothing ends it with 2 and a line at once; an error of the suite's own is not told as that."""
    monkeypatch.setattr(check_command, "check", wide)
    assert check_command.main(["numpy_twin", "no/such/file.py"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ValueError, match="a ball is too wide"):
        check_command.main(["numpy_twin"])


def test_the_command_runs_the_laws_and_examples_that_are_asked_for(capsys):
    """What there is not is refused before anything is loaded."""
    word = f"{STUDENTS / 'function.py'}:rnn"
    assert check_command.main([word], ["value", "range"], 1) == 0
    told = capsys.readouterr().out
    assert re.search(r"^value +holds +10 ", told, re.M) and re.search(r"^range +holds +", told, re.M)
    assert "vjp" not in told
    for laws, examples, rule in (
        (["vjq"], 1, "`laws` must be among "),
        ([], 0, "`examples` must be at least 1; got 0."),
    ):
        assert check_command.main(["no/such/file.py"], laws, examples) == 2
        assert capsys.readouterr().err.startswith(rule)


@pytest.mark.parametrize(("broken", "code"), [(False, 3), (True, 1)])
def test_where_the_suite_itself_fails_the_other_laws_keep_their_verdicts(broken, code, monkeypatch, capsys):
    """In a line, and the exit code 1 is left to broken laws: the first error ended it all, with 1 and a traceback."""
    word, asked = f"{STUDENTS / 'function.py'}:rnn", child.Process.ask
    laws = {name: registry()[name] for name in ("causality", "range", "value")}

    def ask(process, verb, index, law, *rest):
        if law == "range" and verb == "case":  # an error of the process's own lines, with its traceback
            return asked(process, verb, index, law, 99, *rest[1:])
        if law == "causality" and verb == "case" and broken:
            raise Broken("h must be zero", plan=Plan(1, 1, 1, 1, seed=0))
        return asked(process, verb, index, law, *rest)

    monkeypatch.setattr(child.Process, "ask", ask)
    monkeypatch.setattr(check_command, "registry", lambda: laws)
    monkeypatch.setattr(check_command, "EXAMPLES", 1)
    assert check_command.main([word]) == code
    says = capsys.readouterr().out
    assert re.search(r"^range +failed .* the suite itself failed: IndexError: .*, rnn float64\)$", says, re.M)
    assert re.search(r"^value +holds ", says, re.M) and "Traceback" not in says


def wide(*args, **kwargs):
    """The referee, where it fails."""
    raise ValueError("a ball is too wide")


# What a subject can do to itself


RAISED = r"raised KeyError \(changed_function.py, line \d+\): 'no such gate'.*T=3"
DEEDS = {
    "aborts": ("if x.shape[2] > 1: os.abort()", r"its process was ended by SIGABRT.*D=2"),
    "loops": ("while x.shape[1] > 1: pass", r"its process gave no answer for .*B=[2-7]"),
    "raises": ("if len(x) > 2: raise KeyError('no such gate')", RAISED),
    "asserts": (
        "assert x.shape[1] > 1",
        r"raised AssertionError \(changed_function.py, line \d+\): without a message.*B=1",
    ),
    "exits": ("sys.exit(3)", r"its process ended with code 3"),
    "lists": ("return [[0]], [0], [0]", r"`hs` must be a NumPy array; got a list"),
    "one array": ("return x", r"must return 3 arrays, hs, hT, cT; got a ndarray"),
    "prints": ("print('x' * 3_000_000)", "it printed"),
}


def in_one_dtype(word, laws, examples):
    """The verdicts on a word's one subject in float64: to make a case smaller costs a process a try, in each dtype."""
    (guard,) = isolated(word)
    return check(guard, laws, settings(settings.get_profile("ci"), max_examples=examples), ("float64",))


def here(subject, laws, dtypes):
    """The verdicts on a subject in this process, of a few cases."""
    return check(InProcess(subject), laws, settings(settings.get_profile("ci"), max_examples=2), dtypes)


@pytest.mark.parametrize("deed", DEEDS)
def test_whatever_a_subject_does_ends_as_a_verdict(deed, tmp_path, monkeypatch):
    """An abort or a case without an end breaks the law whose case it was, with the smallest input; the run goes on."""
    monkeypatch.setattr(child, "PATIENCE", 3.0)
    monkeypatch.setitem(reduce.SECONDS, "died", 2.5)
    change, says = DEEDS[deed]
    begin = ("    h, c, hs = h0, c0, []", f"    {change}\n    h, c, hs = h0, c0, []")
    path = changed(tmp_path, "function", begin, ("import numpy", "import os\nimport sys\nimport numpy"))
    checked = in_one_dtype(f"{path}:lstm", ("value",), 6)
    assert checked.verdicts[0].word == ("holds" if deed == "prints" else "broken")
    assert re.search(says, str(checked)), str(checked)
    assert (checked.printed > 3_000_000) == (deed == "prints")


def test_a_subject_that_loads_once_and_not_again_is_broken(tmp_path, monkeypatch):
    """Its process ends, and the next one says why it does not start: a break, not the end of the run."""
    monkeypatch.setitem(reduce.SECONDS, "died", 1.0)
    dies = "    open(__file__ + '.ran', 'w').close()\n    os.abort()\n    h, c, hs = h0, c0, []"
    once = "import os\nif os.path.exists(__file__ + '.ran'): raise KeyError('only once')\nimport numpy"
    path = changed(tmp_path, "function", ("    h, c, hs = h0, c0, []", dies), ("import numpy", once))
    checked = in_one_dtype(f"{path}:lstm", ("causality", "value"), 4)
    assert [v.word for v in checked.verdicts] == ["broken", "broken"]
    assert re.search(r"its process does not start: .*KeyError: 'only once'", str(checked)), str(checked)


def test_an_input_changed_once_is_noticed_whichever_law_it_was_for(tmp_path):
    """On the third call, and never again: law "purity" is broken, and the law whose case it was is judged once more."""
    change = "    global calls\n    calls += 1\n    if calls == 3: x[0] += 1\n    h, c, hs = h0, c0, []"
    path = changed(tmp_path, "function", ("    h, c, hs = h0, c0, []", change), more="\n\ncalls = 0\n")
    (checked,) = check_subject(f"{path}:lstm", ("value",), 6)
    words = {v.law: v.word for v in checked.verdicts}
    assert words == {"purity": "broken", "value": "holds"}
    assert re.search(r"forward changed `x` of shape .*: its entry \[0, 0, 0\] was .*, is ", str(checked))


END = "\n\n\ndef lstm_b"
RETURNED = {"hs": "np.stack(hs), h.copy()", "last": f"h.copy(), c.copy(){END}", "dx": "np.stack(dxs[::-1])"}
FORMS = {
    "first state too": ("hs", "np.stack([h0, *hs]), h.copy()", r"the h of forward must have shape .*; got \("),
    "last alone": ("hs", "hs[-1].copy(), h.copy()", r"the h of forward must have shape \(1, 1, 1\); got \(1, 1\)"),
    "complex": ("hs", "np.stack(hs) + 0j, h.copy()", "the h of forward must hold real numbers; got dtype complex"),
    "objects": ("hs", "np.stack(hs).astype(object), h.copy()", "must hold real numbers; got dtype object"),
    "torch's hT": ("last", f"h[None], c.copy(){END}", r"the hT of forward must have shape \(1, 1\); got \(1, 1, 1\)"),
    "number": ("last", f"h.copy(), c.sum(){END}", r"the cT of forward must have shape \(1, 1\); got \(\)"),
    "rows first": ("dx", "np.stack(dxs[::-1], 1)", "the gradient by x of backward must have shape"),
}


@pytest.mark.parametrize("came", FORMS)
def test_a_result_of_another_form_is_a_break_in_words(came, tmp_path):
    """Of every law that needs it, with shape or dtype; NumPy's exception in a law's own lines ended the whole check."""
    what, new, says = FORMS[came]
    path = changed(tmp_path, "function", (RETURNED[what], new))
    checked = here(load_all(f"{path}:lstm")[0], ("adjoint", "purity", "value", "vjp"), ("float64",))
    words = {v.law: v.word for v in checked.verdicts}
    values, gradients = ("holds", "broken") if what == "dx" else ("broken", "holds")
    assert (words["adjoint"], words["value"], words["vjp"]) == ("broken", values, gradients)
    assert all(re.search(says, told.sentence) for told in checked.breaks if told.law != "purity"), str(checked)


def test_a_form_that_is_asked_for_is_that_of_every_method():
    """Of groups, stacks, read-outs and losses too: no result of the twins is taken for another form."""
    looked_at = set()
    laws = ("backward again", "chain rule", "ensemble", "exchange", "layout", "modes", "reversal", "training", "vjp")
    with patched(guard, look=lambda law, method, *of: looked_at.add(method) or form.look(law, method, *of)):
        assert here(load_all("numpy_twin")[0], laws, ("float64",)).holds
        assert here(load_all("torch_twin")[0], ("second order",), ("float64",)).holds
    assert looked_at == set(form.PARTS)


class WithoutStates(Carrier):
    """Gives no gradient by the initial state."""

    def backward(self, call, cotangent):
        return super().backward(call, cotangent)._replace(state=None)


class Nothing(Carrier):
    """Returns nothing."""

    def forward(self, call):
        return None


class Lists(Carrier):
    """Gives h as lists of numbers."""

    def forward(self, call):
        output = super().forward(call)
        return output._replace(h=output.h.tolist())


class NeverUpdates(Carrier):
    """Returns nothing where parameters are asked for."""

    def updates(self, rule, params, gradients, lr):
        return None


class FewBackwards(Carrier):
    """Several backwards come one after the other."""

    def backwards(self, call, cotangents, frozen=()):
        found = super().backwards(call, cotangents, frozen)
        return (result for result in found)


OTHER_KINDS = {
    Lists: ("adjoint", "the h of forward must be a NumPy array; got a list."),
    NeverUpdates: ("training", "updates must return a list of the parameters after each gradient, as "),
    FewBackwards: ("backward again", "backwards must return a list of one Result a cotangent, as "),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_what_is_no_array_or_list_is_told_so(kind):
    """Lists passed as arrays until a law computed with them; a generator was used up by being looked at."""
    law, says = OTHER_KINDS[kind]
    told = here(kind(), (law,), ("float64",)).breaks
    assert told and all(says in one.sentence for one in told), told


@pytest.mark.parametrize(("law", "stops"), [("value", True), *((law, False) for law in form.WHATEVER_FORM)])
def test_a_case_is_judged_and_shown_as_far_as_the_same_result(law, stops):
    """What a law cannot do with ends the case in either; a law that takes any form goes on in both."""
    call = Plan(3, 2, 4, 5, seed=1).case("rnn", "float64").call
    for subject in (guard.Watched(Lists(), law, ""), snippet.Recorder(Lists(), law)):
        with pytest.raises(Broken, match="must be a NumPy array; got a list") if stops else nullcontext():
            subject.forward(call)


@pytest.mark.parametrize(
    ("instead", "says"),
    [("h.copy()[None], c.copy()", "the hT of forward must have shape "), ("h.tolist(), c", "`hT` must be a NumPy ")],
)
def test_a_wrong_form_is_told_once_with_the_names_of_all_laws_that_it_breaks(instead, says, tmp_path):
    """Whatever the sizes of their cases; each law has its verdict and its own break."""
    path = changed(tmp_path, "function", (RETURNED["last"], instead + END))
    laws = ("adjoint", "causality", "no memory", "split", "value")
    checked = in_one_dtype(f"{path}:lstm", (*laws, "vjp"), 2)
    words = {v.law: v.word for v in checked.verdicts}
    assert words == dict.fromkeys(laws, "broken") | {"vjp": "holds"}
    assert {told.law for told in checked.breaks} == set(laws) and all(says in told.sentence for told in checked.breaks)
    assert str(checked).count(says) == 1 and str(checked).endswith(
        "\nit breaks these other laws too: split, adjoint, causality, no memory"
    )


def test_an_exception_is_told_once_and_first_of_the_law_value(tmp_path):
    """Weights used as x @ W told the same error of every law, the first time as a break of "purity"."""
    path = changed(tmp_path, "function", ("a = x_t @ weight_ih.T +", "a = x_t @ weight_ih +"))
    checked = here(load_all(f"{path}:lstm")[0], ("causality", "purity", "value"), ("float64",))
    says = "raised ValueError (changed_function.py, line "
    assert all(told.form.startswith("ValueError (changed_function.py, line ") for told in checked.breaks)
    assert str(checked).count(says) == 1 and "\nlaw 'value' is broken" in str(checked)
    assert str(checked).endswith("\nit breaks these other laws too: purity, causality")


def test_an_exception_of_a_librarys_own_code_is_told_once_too(tmp_path):
    """No line of the subject's: its words are the same but for the sizes."""
    code = f"compile({LIBRARYS!r}, '<library>', 'exec').co_consts[0]"
    path = changed(tmp_path, "function", more=f"\n\nlstm.__code__ = {code}\n")
    checked = here(load_all(f"{path}:lstm")[0], ("causality", "purity", "value"), ("float64",))
    assert {told.form for told in checked.breaks} == {"ValueError: no rows of "}
    assert str(checked).count("raised ValueError: no rows of ") == 1 and "\nlaw 'value' is broken" in str(checked)


LIBRARYS = """
def lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh):
    raise ValueError(f"no rows of {x.shape}")
"""


def test_breaks_of_other_forms_other_cells_or_none_are_each_told():
    """As one are told those alone by the same result of the same cell."""
    about = {"test": "a_test", "dtype": "float64", "example": "", "sentence": "as it was"}
    forms = [("a", "h", "rnn"), ("b", "hT", "rnn"), ("c", "h", "lstm"), ("d", "", "rnn"), ("e", "", "rnn")]
    breaks = [Told(law=law, form=form, cell=cell, **about) for law, form, cell in [*forms, ("f", "h", "rnn")]]
    first, *others = check_command.once(breaks)
    assert first == f"{breaks[0]}\nit breaks these other laws too: f"
    assert others == [str(told) for told in breaks[1:5]]


NO_C = "the cT_l0 of stack, the cT_l1 of stack must be given; None came."


def test_a_stack_may_leave_out_what_a_subject_does_not_declare():
    """A c that is not there under any layer's name is none that an error in a law's own lines could be laid on."""

    class Bare(Carrier):
        def stack(self, call):
            output = super().stack(call)
            return output._replace(last=tuple(tuple(s._replace(c=None) for s in layer) for layer in output.last))

    subject = Bare()
    case = Plan(3, 2, 4, 5, seed=1, L=2).case("lstm", "float64")
    for without, bad in ((set(), NO_C), ({"cell state"}, "")):
        subject.capabilities = Carrier.capabilities - without
        watched = guard.Watched(subject, "stack", "")
        watched.stack(case.stack)
        assert watched.bad == bad


@pytest.mark.parametrize("options", [{}, {"transposed": True}, {"batch_first": True}, {"gates": "ifog"}])
def test_a_gradient_that_is_none_is_missing_in_any_convention(options):
    """For the laws that need it: no error of a conversion, which names nothing."""
    case = Plan(3, 2, 4, 5, seed=1).case("lstm", "float64")
    conventions = Conventions(**options)
    given = conventions.given(case.call)._replace(x=None, weight_ih=None)
    found = gradients(conventions.result(case.call, given))
    assert found.keys() == {"weight_hh", "bias_ih", "bias_hh", "h0", "c0"}


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (WithoutStates, "the gradient by h0 of backward, the gradient by c0 of backward must be given; None came."),
        (Nothing, "forward must return an Output, as properties/subject.py has it; got a NoneType."),
    ],
)
def test_a_result_that_is_not_there_is_a_break_in_words(kind, says):
    """Not an exception of the law that looks for it."""
    told = here(kind(), ("adjoint",), ("float64",)).breaks
    assert any(says in one.sentence and one.cell == "lstm" for one in told), told


def test_an_exception_in_a_law_of_the_suites_own_is_none_of_the_subjects(monkeypatch):
    """Where nothing was wrong with the results it ends the check, or is the law's verdict where the others go on."""
    monkeypatch.setattr(test_adjoint, "inner", wide)
    with pytest.raises(ValueError, match="a ball is too wide"):
        here(load_all("numpy_twin")[0], ("adjoint",), ("float64",))
    (checked,) = check_subject(load_all("numpy_twin")[0], ("adjoint", "range"), 1)
    assert [v.word for v in checked.verdicts] == ["failed", "holds"] and not checked.holds and not checked.breaks
    says = r"^the suite itself failed: ValueError: a ball is too wide, test_any_subject\.py, line \d+ \("
    assert re.search(says, checked.verdicts[0].why)


LOOP = "c = sigma(f) * c + sigma(i) * np.tanh(g)\n        h = sigma(o) * np.tanh(c)\n        hs"
IN_PLACE = [
    (LOOP, LOOP.replace("c = sigma(f) * c +", "c *= sigma(f)\n        c +=")),
    ("h.copy(), c.copy()\n\n\ndef lstm_b", "h.copy(), c\n\n\ndef lstm_b"),
]


def test_a_result_that_is_a_changed_argument_keeps_its_numbers(tmp_path):
    """`c *= ...` on c0, which is handed back as cT: cT was told to be c0, and every law on it to be broken."""
    (subject,) = load_all(f"{changed(tmp_path, 'function', *IN_PLACE)}:lstm")
    checked = here(subject, ("adjoint", "rows", "split", "value", "vjp"), ("float64",))
    assert {v.law: v.word for v in checked.verdicts if v.word != "holds"} == {"purity": "broken"}
    assert re.search(r"forward changed `c0` of shape \(\d+, \d+\): its entry", str(checked))
    assert checked.breaks[0].test == "test_inputs_parameters_states_and_cotangents_stay_as_they_are"


@pytest.mark.parametrize(("was", "now"), [(0.0, -0.0), (1.0, np.nan), (np.nan, 1.0)])
def test_a_change_of_an_argument_that_compares_as_none_is_told(was, now):
    """A zero's sign, and to or from NaN."""

    class Writes(Carrier):
        def forward(self, call):
            output = super().forward(call)
            call.x[-1, 0, 0] = now
            return output

    watched = guard.Watched(Writes(), "value", "")
    call = Plan(3, 2, 4, 5, seed=1).case("rnn", "float64").call
    call.x[-1, 0, 0] = was
    watched.forward(call)
    assert watched.changed.endswith(f"its entry [2, 0, 0] was {np.float64(was)!s}, is {np.float64(now)!s}.")
    assert str(call.x[-1, 0, 0]) == str(np.float64(was))


FORMS_CHANGED = {
    "weight_ih.shape = (4, -1, x.shape[2])": r"changed the shape of `weight_ih` from \(\d+, (\d+)\) to \(4, \d+, \1\)",
    "weight_ih.setflags(write=False)": "locked `weight_ih`: it cannot be written to.",
    "weight_ih.dtype = 'i8'": "changed the dtype of `weight_ih` from float64 to int64.",
}


@pytest.mark.parametrize("deed", FORMS_CHANGED)
def test_a_call_that_changes_the_form_of_an_argument_breaks_purity_alone(deed, tmp_path):
    """A law that went on with the array ended the whole check, by an error of its own lines."""
    begin = (f"    {START}", f"    own = weight_ih.copy()\n    {deed}\n    weight_ih = own\n    {START}")
    (subject,) = load_all(f"{changed(tmp_path, 'function', begin)}:lstm")
    checked = here(subject, ("no memory", "purity", "split", "value"), ("float64",))
    words = {v.law: v.word for v in checked.verdicts}
    assert words == {"no memory": "holds", "purity": "broken", "split": "holds", "value": "holds"}, str(checked)
    assert all(re.search(f": (?:forward|backward) {FORMS_CHANGED[deed]}", t.sentence) for t in checked.breaks[:2])


def test_what_a_call_changes_of_a_stack_or_of_cotangents_is_told_by_name():
    """Those of layers with torch's suffix; what has no name of its own by its shape."""
    case = Plan(3, 2, 4, 5, seed=1, L=2, directions=2, lengths=(3, 2)).case("lstm", "float64")
    names = [name for name, _ in arrays_of((case.stack, case.stack_cotangent), {"mask": np.ones(3)})]
    assert {"`x`", "`h0_l0`", "`weight_ih_l1_reverse`", "`lengths`", "`dh`", "`dcT_l1_reverse`"} <= set(names)
    assert names[-1] == UNNAMED and len(names) == len(set(names)) == 1 + 8 + 16 + 1 + 1 + 8 + 1
    assert [name for name, _ in arrays_of(case.call, case.cotangent)] == [
        *("`x`", "`h0`", "`c0`", "`weight_ih`", "`weight_hh`", "`bias_ih`", "`bias_hh`", "`lengths`"),
        *("`dh`", "`dhT`", "`dcT`"),
    ]


def test_results_that_share_memory_are_told_by_name(tmp_path):
    """An output with an argument, and gradients with each other."""
    law, plan = registry()["purity"][2], Plan(3, 2, 4, 5, seed=1)
    for change, says in (
        (("h.copy(), c.copy()\n\n\ndef lstm_b", f"h.copy(), c0{END}"), "`cT` shares memory with `c0`."),
        (("sums[2].copy()", "sums[2]"), "the gradient by bias_hh shares memory with the gradient by bias_ih."),
    ):
        (subject,) = load_all(f"{changed(tmp_path, 'function', change)}:lstm")
        assert says in str(law.outcome(subject, "lstm", "float64", plan))


def test_a_read_only_array_that_a_call_makes_writable_is_told(tmp_path):
    """Whoever made it so wants nobody to write to it."""
    begin = (f"    {START}", f"    x.setflags(write=True)\n    {START}")
    told = here(load_all(f"{changed(tmp_path, 'function', begin)}:lstm")[0], ("purity",), ("float64",)).breaks
    assert [one.test for one in told] == ["test_read_only_arrays_are_taken"]
    assert "a call unlocked `x`, which is read-only." in told[0].sentence


def test_laws_are_not_run_once_too_much_time_was_lost(tmp_path, monkeypatch):
    """They say so, and are no breaks."""
    monkeypatch.setattr(child, "LOST", 0.5)
    path = changed(tmp_path, "function", ("    h, c, hs = h0, c0, []", "    import os\n    os.abort()"))
    (checked,) = check_subject(f"{path}:lstm", ("causality", "range", "value"), 4)
    assert [v.word for v in checked.verdicts] == ["broken", "not run", "not run"]
    assert "its process was lost" in checked.verdicts[1].why and not checked.holds


def test_a_process_ends_with_the_suites(tmp_path):
    """Also while its subject is in a loop."""
    begun = "open(__file__ + '.begun', 'w').close()"
    path = changed(tmp_path, "function", ("    h, c, hs = h0, c0, []", f"    {begun}\n    while True: pass"))
    script = "import os, pathlib, threading, time\nfrom properties.check import check_subject\n"
    script += f"def kill():\n    while not pathlib.Path({str(path) + '.begun'!r}).exists(): time.sleep(0.05)\n"
    script += "    os.kill(os.getpid(), 9)\n"
    script += "threading.Thread(target=kill, daemon=True).start()\n"
    script += f"check_subject({str(path) + ':lstm'!r}, ('value',), 4)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=60)
    assert Path(f"{path}.begun").exists()
    for _ in range(20):
        alive = subprocess.run(["pgrep", "-f", str(path)], capture_output=True, text=True).stdout
        if not alive:
            return
        subprocess.run(["sleep", "0.5"])
    pytest.fail(f"the subject's process lives on: {alive}")


def test_the_same_cases_are_judged_in_a_process_and_here():
    """Where a subject runs changes no case and no fraction of a bound."""
    for law, examples, least in (("bias", 8, 128), ("no memory", 40, 40)):
        how = settings(settings.get_profile("ci"), max_examples=examples)
        there = check(isolated("numpy_twin")[0], (law,), how)
        here = check(InProcess(load_all("numpy_twin")[0]), (law,), how)
        assert [(v.cases, v.worst) for v in there.verdicts] == [(v.cases, v.worst) for v in here.verdicts]
        assert there.holds and there.verdicts[0].cases >= least


# What is said


SIGNATURE = "def lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh):\n"
STEP = "a = x_t @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh\n        i,"
START = "h, c, hs = h0, c0, []"
MISTAKES = [
    ("i, f, g, o = np.split", "f, i, g, o = np.split", "the gates are ordered f, i, g, o, not i, f, g, o"),
    (START, "h, c, hs = c0, h0, []", "h0 and c0 are exchanged"),
    (START, "h, c, hs = h0, 0 * c0, []", "c0 is ignored"),
    (START, "h, c, hs = 0 * h0, 0 * c0, []", "the initial state is ignored"),
    (STEP, STEP.replace(" + bias_hh", ""), "bias_hh is ignored"),
    ("sigma(f) * c", "sigma(f + 1) * c", "1 is added to the bias of the forget gate"),
    ("h.copy(), c.copy()\n\n\ndef lstm_b", "c.copy(), h.copy()\n\n\ndef lstm_b", "hT and cT are exchanged"),
    ("for x_t in x:\n        " + STEP, "for x_t in x[::-1]:\n        " + STEP, "time runs backwards"),
    (STEP, STEP.replace("ih.T", "ih.reshape(weight_ih.shape[::-1])"), "weight_ih is read in memory order"),
    (STEP, STEP.replace("hh.T", "hh.reshape(4, -1, h.shape[1]).swapaxes(1, 2).reshape(-1, h.shape[1]).T"),
     "weight_hh is used transposed"),
    (SIGNATURE, SIGNATURE + "    x = x.astype('f4').astype(x.dtype)\n", "somewhere inside it computes as in float32"),
    ("dhT, dcT\n", "dhT, 0 * dcT\n", "the gradient that comes in by cT is ignored"),
    ("dh.copy(), dc.copy()", "dh.copy(), 0 * dc", "the gradient by c0 is zero"),
    ("sums[1], sums[2]", "-sums[1], sums[2]", "the gradient by weight_hh is minus what must come"),
    ("da.sum(0)", "da.mean(0)", "the gradients by bias_ih, bias_hh are 1/B times (an average over the batch"),
    ("dc * c * f * (1 - f)", "dc * c * f", "wrong in the rows of gate f alone"),
    ("dc * g * i * (1 - i), dc * c * f * (1 - f), ", "dc * c * f * (1 - f), dc * g * i * (1 - i), ",
     "in a single step, the gradients by x, h0 are wrong; the gradients by weight_ih, weight_hh, bias_ih, bias_hh are "
     "ordered by gates f, i, g, o, not i, f, g, o"),
    ("dc, dh = dc * f,", "dc, dh = dc,", "the gradient by c0 is wrong"),
    ("dh = dh + dh_t", "dh = dh_t", "the gradient that comes in by hT is ignored; over several steps, beside that, the "
     "gradient by x is wrong but at the last step: it does not pass from step to step"),
    ("da = np.concatenate(parts, -1)", "da = (len(dxs) < len(x) - 1) * np.concatenate(parts, -1)",
     "the first step has no part in the gradients"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), MISTAKES, ids=[says for *_, says in MISTAKES])
def test_what_would_explain_a_break_is_said_in_words(old, new, says, tmp_path):
    """Every planted mistake is called by its name."""
    (subject,) = load_all(f"{changed(tmp_path, 'function', (old, new))}:lstm")
    assert says in InProcess(subject).explain("lstm", "float64")


def test_nothing_is_explained_where_nothing_is_wrong():
    """Neither values nor gradients."""
    for subject in (*adapted(course_file, "course"), *adapted(function_file, "function")):
        for cell in subject.cells:
            assert InProcess(subject).explain(cell, "float64") == ""


ADDED_UP = (
    "    return np.stack(dxs[::-1])",
    "    sums = KEPT[x.shape] = [a + b for a, b in zip(sums, KEPT.get(x.shape, sums))]\n    return np.stack(dxs[::-1])",
)
CARRIED = (
    (START, "h, c, hs = KEPT.get(h0.shape, h0), c0, []"),
    ("    return np.stack(hs), h.copy(), c", "    KEPT[h0.shape] = h\n    return np.stack(hs), h.copy(), c"),
)
UNSTEADY = {"gradients that add up": [ADDED_UP], "a state that is carried on": CARRIED, "dropout":
            [("hs.append(h)", "hs.append(h * (np.random.default_rng().random(h.shape) < 0.5))")]}  # fmt: skip


@pytest.mark.parametrize("mistake", UNSTEADY)
def test_a_call_that_gives_something_else_the_second_time_is_told_so(mistake, tmp_path):
    """What its other calls give says nothing: gradients that add up were told to be wrong in some gates alone."""
    path = changed(tmp_path, "function", *UNSTEADY[mistake], more="\n\nKEPT = {}\n")
    says = "the same call gives something else the second time: it remembers earlier ones, or draws random numbers"
    assert InProcess(load_all(f"{path}:lstm")[0]).explain("lstm", "float64") == says


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_number_given_twice_is_the_same(value):
    """As 1 is; and it is not 1."""
    one, other = ({"h": np.array([value, a])} for a in (1.0, 2.0))
    with np.errstate(invalid="ignore"):
        assert not differ(one, one, {}) and differ(one, other, {}) and differ(one, {"h": np.array([1.0, 1.0])}, {})


@pytest.mark.parametrize(("error", "says"), [("1e-12", ""), ("1e-8", "somewhere inside it computes as in float32")])
def test_an_error_is_that_of_float32_where_it_is_as_large(error, says, tmp_path):
    """One of 1e-12 is within float32's bound too, and no float32 is that near."""
    path = changed(tmp_path, "function", ("h = sigma(o) * np.tanh(c)", f"h = sigma(o) * np.tanh(c) * (1 + {error})"))
    assert InProcess(load_all(f"{path}:lstm")[0]).explain("lstm", "float64") == says


def test_what_a_subject_writes_to_its_arguments_is_not_taken_for_what_it_was_given(tmp_path):
    """`dc = dnext_c; dc += ...`: the gradients are right, and were told to be wrong beside the changed cotangent."""
    dc = "dc = dnext_c + dnext_h * o * (1 - tc**2)"
    path = changed(tmp_path, "course", (dc, dc.replace("= dnext_c +", "= dnext_c\n    dc +=")))
    assert InProcess(load_all(str(path))[1]).explain("lstm", "float64") == ""


def test_each_gradient_is_asked_for_once_and_kept_as_it_came(tmp_path, monkeypatch):
    """Over a step and over several, the first one twice; also where later calls write to what earlier ones gave."""
    (subject,) = load_all(f"{changed(tmp_path, 'function', ('dh = dh + dh_t', 'dh = dh_t'))}:lstm")
    says, own, given, buffers = explain(subject, "lstm", "float64"), subject.backward, [], {}

    def in_one_buffer(call, cotangent):
        given.append(call.x.shape)
        fresh = own(call, cotangent)
        kept = buffers.setdefault(call.params.weight_ih.shape, fresh.params)
        for array, gradient in zip(kept, fresh.params, strict=True):
            array[...] = gradient
        return fresh._replace(params=kept)

    monkeypatch.setattr(subject, "backward", in_one_buffer)
    assert explain(subject, "lstm", "float64") == says and "hT is ignored; over several steps" in says
    assert len(given) - 1 == len(set(given)) == 2 * len(PLANS) and given[0] == given[1]


def test_a_dtype_is_not_explained_by_a_gradient(tmp_path):
    """Both are wrong: each is told of its own law."""
    wide = (f"h.copy(), c.copy(){END}", f"h.copy(), c.astype('f8'){END}")
    path = changed(tmp_path, "function", wide, ("dh.copy(), dc.copy()", "dh.copy(), 0 * dc"))
    checked = here(load_all(f"{path}:lstm")[0], ("adjoint", "dtype"), ("float32",))
    says = {told.law: (told.sentence, told.explanation) for told in checked.breaks}
    assert "results must be float32" in says["dtype"][0] and says["dtype"][1] == ""
    assert says["adjoint"][1] == "the gradient by c0 is zero"


def test_a_gate_order_is_said_in_the_subjects_own_convention(tmp_path):
    """A course's file has i, f, o, g: one that has i, f, g, o is told so."""
    old = "sigmoid(a[:, 2 * H : 3 * H]), np.tanh(a[:, 3 * H :])"
    path = changed(tmp_path, "course", (old, "sigmoid(a[:, 3 * H :]), np.tanh(a[:, 2 * H : 3 * H])"))
    assert InProcess(load_all(str(path))[0]).explain("lstm", "float64") == (
        "the gates are ordered i, f, g, o, not i, f, o, g"
    )


def test_a_gate_order_of_gradients_is_said_in_the_subjects_own_convention(tmp_path):
    """As that of values: a cycle of three, which its inverse is not."""
    old = "do * o * (1 - o), dc * i * (1 - g**2)])"
    new = ("da = np.hstack([dc * g * i * (1 - i), dc * prev_c", "da = np.hstack([dc * i * (1 - g**2), dc * prev_c")
    path = changed(tmp_path, "course", (old, "dc * g * i * (1 - i), do * o * (1 - o)])"), new)
    assert "are ordered by gates g, f, i, o, not i, f, o, g" in InProcess(load_all(str(path))[0]).explain(
        "lstm", "float64"
    )


def test_a_failing_case_is_made_as_small_as_it_can_be():
    """Sizes of one, usual options, few digits, zeros: only what the break needs is left."""
    first = Plan(5, 3, 4, 6, seed=77, scale=2.0, opposed=30.0, lengths=(5, 2, 4), L=3, directions=2)

    def outcome(plan):
        return Broken("broken", plan=plan) if plan.H >= 2 and plan.lengths and "x" not in plan.zeros else None

    small = smallest(outcome, Broken("broken", plan=first)).plan
    assert (small.T, small.B, small.D, small.H, small.L, small.directions) == (1, 1, 1, 2, 1, 1)
    assert (small.scale, small.opposed, small.seed, small.bits, small.lengths) == (1.0, 0.0, 0, 0, (1,))
    assert "x" not in small.zeros and "weight_hh" in small.zeros


LEAKS = {
    "a shut output gate shows nothing": (
        "sigma(o) * np.tanh(c)\n",
        "(sigma(o) + 0.01) * np.tanh(c)\n",
        "h must be zero",
    ),
    "an open forget gate and a shut input gate keep the cell": (
        "sigma(f) * c +",
        "0.999 * sigma(f) * c +",
        "to the bit",
    ),
}


@pytest.mark.parametrize("test", LEAKS)
def test_a_case_is_not_made_smaller_to_one_that_no_subject_can_pass(test, tmp_path):
    """Zeros, of which no cell lives on and -0 + 0 is 0: what was told there was untrue of the subject."""
    *change, says = LEAKS[test]
    path = changed(tmp_path, "function", (change[0], change[1]))
    told = here(load_all(f"{path}:lstm")[0], ("gates",), ("float64",)).breaks
    (one,) = (one for one in told if one.test == f"test_{test.replace(' ', '_')}")
    plan = eval(one.example.partition(", ")[2], {"Plan": Plan})
    law = next(law for law in registry()["gates"] if law.test == one.test)
    assert says in one.sentence and (plan.T, plan.B, plan.D, plan.H)[1:] == (1, 1, 1)
    assert law.outcome(load_all("numpy_twin")[0], "lstm", "float64", plan) is None


def test_a_case_made_smaller_breaks_the_same_condition():
    """Another one of the same law is told when its own turn comes, not in the first one's place."""
    first = Plan(5, 3, 4, 6, seed=77)

    def outcome(plan):
        return Broken(
            f"a: {'h' if plan.T > 2 else 'c'} must be 0 at step {plan.T}; got {plan.H}. rnn, {plan}", plan=plan
        )

    assert smallest(outcome, outcome(first)).plan.T == 3
    raised = [Broken("raised", kind="raised", form=f"KeyError{place}") for place in ("", " (a.py, line 3)")]
    assert not reduce.same(*raised)


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("/ mask_flat.sum()", r"loss is \S+, must be [^0]\S* within"),
        ("/ N + 1e-8", r"loss is \S+, must be \S+ within"),
    ],
)
def test_a_wrong_loss_is_shown_with_its_scores_targets_and_mask(new, says, tmp_path):
    """As the file's function has them; where all is masked 0/0 is another mistake, and is not what is shown."""
    old = "loss = -np.sum(mask_flat * np.log(probs[np.arange(N * T), y_flat])) / N"
    path = changed(tmp_path, "course", (old, old.replace("/ N", new)))
    subject, _ = load_all(str(path))
    told = here(subject, ("value",), ("float64",)).breaks[0]
    assert re.search(says, told.sentence) and "nan" not in told.sentence, told.sentence
    given = eval(f"dict({told.numbers.replace('targets =', ', targets =').replace('mask =', ', mask =')})", {"np": np})
    loss, _ = sys.modules["changed_course"].temporal_softmax_loss(*given.values())
    assert list(given) == ["scores", "targets", "mask"] and str(loss) in told.sentence and given["mask"].all()


@pytest.mark.parametrize(("value", "least"), [(np.nan, 1), (3.0, 2)])
def test_nan_takes_the_place_of_no_finite_number_in_a_smaller_case(value, least):
    """The other way round it is told; of NaN alone the smallest is."""
    first = Plan(4, 1, 1, 1, seed=0)

    def outcome(plan):
        return Broken("a: loss is off", kind="value", got=np.nan if plan.T < 2 else value, plan=plan)

    steps = smallest(outcome, outcome(first)).plan.T
    assert steps == least


CONDITIONS = {
    "x, float64 (1, 2) where float32 (1, 2) fits, and lengths [3] must be refused; it was taken": [
        ("lengths [1] must be refused; it was taken", True),
        ("x, float64 (1, 1) where float32 (1, 1) fits, must be refused; it was taken", True),
        ("state.h, float64 (1, 1) where float32 (1, 1) fits, must be refused; it was taken", False),
        ("lengths [1] must be refused for T=3; they were taken", False),
    ],
    "<v, J u> is -1.34e-07 and <J^T v, u> 2.5: off by 9.76e-09, allowed 1e-15": [
        ("<v, J u> is 0.25 and <J^T v, u> -2.5e-07: off by 2, allowed 1e-15", True),
    ],
}


@pytest.mark.parametrize("first", CONDITIONS)
def test_a_condition_is_the_same_with_other_numbers_or_a_shorter_list(first):
    """Of four arguments that do not fit one may be left, since that is smaller."""
    for other, alike in CONDITIONS[first]:
        one, two = (Broken(f"a: {text}. rnn float32, {Plan(1, 1, 1, 1, seed=0)}") for text in (other, first))
        assert reduce.same(one, two) == alike, other


def test_a_program_that_needs_what_an_earlier_call_left_is_not_offered(tmp_path):
    """The call alone gives what it must: such a program ended well, and showed nothing. That is said."""
    path = changed(tmp_path, "function", *CARRIED, more="\n\nKEPT = {}\n")
    told = check_subject(f"{path}:lstm", ("value",), 2).breaks
    assert told and told[0].numbers and told[0].program == ""
    says = "\nthis call alone is right: something of an earlier call was kept, or random numbers were drawn\n"
    assert f"{says}the smallest input that showed it:\nx = " in str(told[0])
    path = changed(tmp_path, "function", ("sigma(o) * np.tanh(c)", "sigma(o) * c"))
    told = check_subject(f"{path}:lstm", ("value",), 2).breaks
    assert "\nthe smallest input that shows it:\nx = " in str(told[0]) and "alone" not in str(told[0])


def test_a_program_whose_arrays_lie_otherwise_does_not_tell_of_earlier_calls(tmp_path):
    """That a call is right with dense arrays says nothing of those that the law handed over."""
    begin = (f"    {START}", f"    if weight_ih.strides[0] < 0: weight_ih = -weight_ih\n    {START}")
    told = check_subject(f"{changed(tmp_path, 'function', begin)}:lstm", ("strides",), 8).breaks
    assert told and told[0].numbers and told[0].program == "" and "alone" not in str(told[0])


def test_a_program_asks_for_no_number_that_a_correct_implementation_does_not_give(tmp_path):
    """What the same call gave the first time was told to be what it must give, but gradients had added up by then."""
    path = changed(tmp_path, "function", ADDED_UP, more="\n\nKEPT = {}\n")
    told = here(load_all(f"{path}:lstm")[0], ("purity", "value"), ("float64",)).breaks
    assert [(one.test, one.program) for one in told] == [("test_the_same_call_again_gives_the_same_bits", "")]


def test_a_program_hands_over_arrays_that_cannot_be_written_as_the_law_did(tmp_path):
    """To arrays that can be written the call takes place, and nothing is shown."""
    told = here(load_all(f"{changed(tmp_path, 'function', *IN_PLACE)}:lstm")[0], ("purity",), ("float64",)).breaks
    (one,) = (one for one in told if one.test == "test_read_only_arrays_are_taken")
    assert "\nc0.flags.writeable = False\n" in one.program and snippet.fails(one.program, 60) == "yes"
    assert snippet.fails(one.program.replace("c0.flags.writeable = False", ""), 60) == "no"


@pytest.mark.parametrize(("wanted", "got", "holds"), [(0.0, -0.0, False), (-0.0, 0.0, False), (-0.0, -0.0, True)])
def test_a_program_tells_zeros_apart_where_the_law_does(wanted, got, holds):
    """By their signs: -0 == 0."""
    broken = Broken("", kind="bits", got=got, wanted=wanted)
    assert eval(snippet.condition(broken), {"np": np, "got": got}) == holds


def test_a_reduced_case_has_few_digits_and_zeros_where_it_says():
    """Multiples of a quarter; a part that is named is all zero."""
    case = Plan(3, 2, 4, 5, seed=1, bits=2, zeros=("h0", "weight_hh")).case("lstm", "float64")
    assert np.array_equal(case.call.x * 4, np.round(case.call.x * 4)) and case.call.x.any()
    assert not case.call.state.h.any() and not case.call.params.weight_hh.any() and case.call.state.c.any()


@pytest.mark.parametrize(
    "plan", [Plan(7, 5, 2, 3, seed=0), Plan(3, 1, 7, 6, seed=0), Plan(1, 1, 1, 4, seed=0)], ids=str
)
def test_a_subject_that_compiles_sees_few_sizes(plan):
    """One of the pool's shapes; axes of one stay; lengths stay within the new T."""
    found = pooled(plan)
    sizes = (found.T, found.B, found.D, found.H)
    assert [n == 1 for n in sizes] == [n == 1 for n in (plan.T, plan.B, plan.D, plan.H)]
    assert sizes in POOL or sum(n == 1 for n in sizes) > 1
    assert len(POOL) == 5 and all(len(set(shape)) >= 3 for shape in POOL)
    deep = replace(plan, L=3, directions=2, biases="none")
    assert pooled(deep) == replace(resized(deep, *POOL[0]), L=2, biases="both")
    assert [sizes for sizes in SIZES if pooled(sized(sizes)) == sized(sizes)] == [SIZES[0], (3, 3, 3, 3)]
    assert resized(Plan(4, 2, 3, 5, seed=0, lengths=(0, 4)), 2, 3, 1, 1).lengths == (0, 2, 0)


def test_a_law_that_does_not_exist_is_refused():
    """The message lists those that do."""
    with pytest.raises(ValueError, match=r"`laws` must be among adjoint, .*; got 'values'"):
        check_subject("numpy_twin", ("values",))
