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


def test_a_wildcard_takes_no_tests_along_but_one_that_is_named_counts(tmp_path, monkeypatch):
    """A test beside the code changes no key; a law, which is a test, does where it is asked for by its name."""
    found = {}
    monkeypatch.setattr(sweep, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("one")
    for word in ("one", "two"):
        (tmp_path / "test_a.py").write_text(word)
        sweep.code.cache_clear()
        found[word] = [sweep.code("*.py"), sweep.code("**/*.py"), sweep.code("test_a.py")]
    sweep.code.cache_clear()
    (*wild, law), (*again, other) = found.values()
    assert wild == again and law != other
