"""TF32 in products of torch's own on a card: asked, put aside and given back, by either way of torch to allow it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from impl.torch_twin import tf32

SCRIPT = """
import contextlib, os, sys, types, torch
from impl.torch_twin import tf32

ALLOW = {
    "": False,
    "torch.set_float32_matmul_precision('high')": True,
    "torch.set_float32_matmul_precision('medium')": True,
    "torch.backends.cuda.matmul.allow_tf32 = True": True,
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'": True,
    "torch.backends.fp32_precision = 'tf32'": True,
}

def settings():
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision

def check(allowed):
    before = settings()
    assert tf32.allowed() is allowed, before
    for is_cuda in (True, False):
        with contextlib.suppress(KeyError), tf32.without(types.SimpleNamespace(is_cuda=is_cuda)):
            assert tf32.allowed() is (allowed and not is_cuda)
            raise KeyError
        assert settings() == before, settings()

for statement, allowed in ALLOW.items():
    child = os.fork()
    if child == 0:
        try:
            exec(statement)
            check(allowed)
        except BaseException as error:
            print(statement, repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
print(len(ALLOW), "ways")
"""


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="this torch has the older way alone"
)
def test_whether_torch_allows_tf32_is_asked_put_aside_and_comes_back():
    """On a card alone, after an error too, and the CPU's own setting stays; each way in a process of its own."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("6 ways\n", 0), done.stdout + done.stderr


def test_the_older_way_is_put_aside_where_torch_has_no_other(monkeypatch):
    """As torch had it up to 2.8."""
    older = SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr(torch.backends.cuda, "matmul", older)
    with tf32.without(SimpleNamespace(is_cuda=True)):
        assert older.allow_tf32 is False and not tf32.allowed()
    assert older.allow_tf32 is True and tf32.allowed()
