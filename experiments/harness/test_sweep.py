"""Groups of a sweep: what their keys follow."""

from experiments.harness import sweep


def test_code_that_changes_is_measured_again_and_tests_of_others_are_not_asked(tmp_path, monkeypatch):
    """The key of a group follows the contents of the files that its numbers come from."""
    (tmp_path / "a.py").write_text("one")
    (tmp_path / "b.py").write_text("one")
    monkeypatch.setattr(sweep, "ROOT", tmp_path)
    sweep.code.cache_clear()
    before = sweep.code("a.py")
    (tmp_path / "b.py").write_text("two")
    sweep.code.cache_clear()
    assert sweep.code("a.py") == before
    (tmp_path / "a.py").write_text("two")
    sweep.code.cache_clear()
    assert sweep.code("a.py") != before
    sweep.code.cache_clear()
