"""Known corpora on small files of the same form, from a server in this process: cut, changed, absent, out of reach."""

from __future__ import annotations

import gc
import hashlib
import io
import subprocess
import sys
import warnings
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from experiments.tasks import corpora, text
from impl import draw

NAMES = {"whole": ["whole.txt"], "parts": ["train.txt", "valid.txt", "test.txt"], "packed": ["packed"]}
PUBLISHED = dict(corpora.CORPORA)


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; may send fewer bytes than it promises, and notes what was asked for."""

    cut, asked = False, []

    def log_message(self, *_):
        """Says nothing."""

    def do_GET(self):
        """A file, or half of it under its full length."""
        self.asked.append(self.path)
        if not self.cut:
            return super().do_GET()
        data = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder, its address on this machine, and the class that answers."""
    folder = tmp_path_factory.mktemp("served")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def known(served, tmp_path, monkeypatch):
    """Three small corpora, published: one file, three parts, one packed file of bytes; an empty folder for them."""
    (site, address), rng = served, draw.generator("test corpora")
    contents = {n: bytes(rng.integers(97, 123, 2000, np.uint8)) for some in NAMES.values() for n in some}
    contents["packed"] += b"\xff\xfe"
    monkeypatch.setattr(Quiet, "asked", [])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(corpora.FOLDER, str(tmp_path / "folder"))
    monkeypatch.setattr(corpora, "CORPORA", {name: publish(site, address, name, contents) for name in NAMES})
    return contents


@pytest.fixture
def unclosed():
    """What a failed download leaves open, since pooch closes no answer that it cannot read, goes here and unheard."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def publish(site, address, name, contents):
    """Puts a corpus on the server, and says what it must be; the packed one is bytes."""
    files = []
    for file in NAMES[name]:
        data, url = contents[file], f"{address}/{file}"
        (site / file).write_bytes(data)
        files.append(corpora.File(file, url, len(data), f"md5:{hashlib.md5(data).hexdigest()}"))
    if name == "packed":
        data = zip_of("packed", contents["packed"])
        (site / "packed.zip").write_bytes(data)
        files = [files[0]._replace(url=f"{url}.zip", packed=f"sha256:{hashlib.sha256(data).hexdigest()}")]
    return corpora.Corpus(tuple(files), "latin-1" if name == "packed" else "utf-8")


def zip_of(name, data):
    """A zip with one member."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, data)
    return file.getvalue()


def test_what_is_published_has_an_address_a_size_and_checksums_of_their_lengths():
    """Each digest has the digits of its algorithm, none stands twice; names are no paths; sizes as they are known."""
    files = [file for corpus in PUBLISHED.values() for file in corpus.files]
    digests = [digest for file in files for digest in (file.checksum, file.packed) if digest]
    for algorithm, digits in (digest.split(":") for digest in digests):
        assert len(bytes.fromhex(digits)) == hashlib.new(algorithm, usedforsecurity=False).digest_size
    assert len(set(digests)) == len(digests) and len({file.name for file in files}) == len(files)
    assert all(file.url.startswith("http") and "/" not in file.name and file.size for file in files)
    assert all(bool(file.packed) == file.url.endswith(".zip") for file in files)
    assert {name for name, corpus in PUBLISHED.items() if len(corpus.files) == 3} == {"ptb"}
    assert {name for name, corpus in PUBLISHED.items() if corpus.encoding == "latin-1"} == {"enwik8"}


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_is_downloaded_once_and_read_as_it_is(known, tmp_path, name):
    """The second load asks nobody; nothing but the unpacked files is left in the folder; a byte is a character."""
    sources = [text.load(name), text.load(name)]
    data = b"".join(known[file] for file in NAMES[name])
    assert [file.lstrip("/").removesuffix(".zip") for file in Quiet.asked] == NAMES[name]
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == sorted(NAMES[name])
    for source in sources:
        assert source.name == name and source.string.encode(source.encoding) == data
        assert source.sha256 == hashlib.sha256(data).hexdigest() and len(source.characters) == len(data)


def test_a_corpus_in_three_files_has_these_as_its_parts(known):
    """Training, validation and test are the files; one in a single file is split as any text."""
    source = text.load("parts")
    read = [text.string(source, part).encode() for part in text.parts(source)]
    assert read == [known[file] for file in NAMES["parts"]]
    assert text.parts(text.load("whole")) == text.contiguous(2000)


def test_the_customary_split_of_100_million_characters_is_the_contiguous_one():
    """90, 5 and 5 million, as papers split text8 and enwik8."""
    assert [text.length(part) for part in text.contiguous(100_000_000)] == [90_000_000, 5_000_000, 5_000_000]


CHANGED = {"cut": lambda data: data[:-7], "changed": lambda data: data[:-1] + b"!", "empty": lambda data: b""}


@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize("name", NAMES)
def test_a_download_that_is_not_the_published_file_is_refused_and_not_kept(known, served, tmp_path, name, change):
    """Cut, changed or empty where it comes from: both checksums are told, and the folder stays empty."""
    last = served[0] / (f"{NAMES[name][-1]}.zip" if name == "packed" else NAMES[name][-1])
    last.write_bytes(CHANGED[change](last.read_bytes()))
    file = corpora.CORPORA[name].files[-1]
    expected = (file.packed or file.checksum).split(":")[1]
    error = refused(name)
    assert error.startswith(f"`corpus` must be the published one; got {file.url} (")
    assert (
        f"expected {file.packed or file.checksum}" in error and f"put it at {tmp_path / 'folder' / file.name}" in error
    )
    assert error.count(expected) == 1 and ("unpack it" in error) == (name == "packed")
    assert not (tmp_path / "folder" / file.name).exists() and left(tmp_path) <= set(NAMES[name])


def test_a_zip_with_the_right_checksum_and_other_contents_is_refused(known, tmp_path, monkeypatch):
    """The unpacked contents are judged before they come into their place."""
    (file,) = corpora.CORPORA["packed"].files
    other = corpora.Corpus((file._replace(checksum="md5:" + "0" * 32),))
    monkeypatch.setitem(corpora.CORPORA, "packed", other)
    assert "must have 2002 bytes with the MD5 000" in refused("packed")
    assert left(tmp_path) == set()


@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_the_folder_that_is_not_the_published_one_is_refused_at_each_load(known, tmp_path, name, change):
    """After a good download too: both checksums and lengths are told, the file is left, and nobody is asked."""
    text.load(name)
    Quiet.asked.clear()
    path = tmp_path / "folder" / NAMES[name][-1]
    path.write_bytes(CHANGED[change](path.read_bytes()))
    data, file = path.read_bytes(), corpora.CORPORA[name].files[-1]
    error = refused(name)
    assert f"{path} must have {file.size} bytes with the MD5 {file.checksum[4:]}; got {len(data)} bytes with " in error
    assert hashlib.md5(data).hexdigest() in error and "Delete it" in error
    assert path.read_bytes() == data and Quiet.asked == []


def test_a_check_at_the_download_alone_would_read_a_cut_file(known, tmp_path, monkeypatch):
    """The fault that the test above is for, planted: with no check at each load the cut text is measured."""
    text.load("whole")
    path = tmp_path / "folder" / "whole.txt"
    path.write_bytes(path.read_bytes()[:-7])
    monkeypatch.setattr(corpora, "_checked", lambda path, file: path.read_bytes())
    assert len(text.load("whole").characters) == 1993


def test_a_connection_that_ends_too_soon_is_no_file(known, tmp_path, monkeypatch, unclosed):
    """Half of the promised bytes: said like a failed download, nothing kept; the next try gets the whole."""
    monkeypatch.setattr(Quiet, "cut", True)
    assert "`corpus` must be downloaded once; got no http" in refused("whole")
    assert left(tmp_path) == set()
    monkeypatch.setattr(Quiet, "cut", False)
    assert text.load("whole").string.encode() == known["whole.txt"]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_network_the_error_says_what_to_do_and_that_works(known, tmp_path, monkeypatch, name):
    """Nobody answers: one line with the address, the place and the other way; a file put there by hand is read."""
    offline = [file._replace(url=f"http://127.0.0.1:9/{file.name}") for file in corpora.CORPORA[name].files]
    monkeypatch.setitem(corpora.CORPORA, name, corpora.CORPORA[name]._replace(files=tuple(offline)))
    error, path = refused(name), tmp_path / "folder" / NAMES[name][0]
    assert error.startswith(f"`corpus` must be downloaded once; got no {offline[0].url} (ConnectionError")
    assert f"put it at {path}, or name a file of your own" in error and ("unpack it" in error) == (name == "packed")
    for file in NAMES[name]:
        (tmp_path / "folder" / file).write_bytes(known[file])
    assert len(text.load(name).characters) == sum(len(known[file]) for file in NAMES[name])


def test_an_address_that_has_gone_is_said_so(known, served, unclosed):
    """The server's own answer stands in the line."""
    (served[0] / "whole.txt").unlink()
    assert "HTTPError: 404" in refused("whole")


def test_a_folder_in_the_place_of_a_file_and_one_that_cannot_be_made_are_named(known, tmp_path, monkeypatch):
    """Both in one line."""
    (tmp_path / "folder" / "whole.txt").mkdir(parents=True)
    assert "must be a file that can be read; got " in refused("whole")
    (tmp_path / "a file").touch()
    monkeypatch.setenv(corpora.FOLDER, str(tmp_path / "a file" / "below"))
    assert "NotADirectoryError" in refused("whole")


def test_a_file_with_the_name_of_a_corpus_is_read_as_a_file(known, tmp_path, monkeypatch):
    """ "./whole" and Path("whole") are the user's own, "whole" is not; `place` keeps them apart in any folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whole").write_text("ab" * 1000)
    assert {text.load(own).string for own in ("./whole", tmp_path / "whole")} == {"ab" * 1000}
    assert text.load("whole").string.encode() == known["whole.txt"]
    assert [text.place(some) for some in ("whole", "./whole", None)] == ["whole", str(tmp_path / "whole"), ""]


def test_the_folder_is_poochs_own_unless_the_user_names_one(monkeypatch, tmp_path):
    """RNN_TWINS_DATA if it is set and not empty."""
    monkeypatch.setenv(corpora.FOLDER, str(tmp_path))
    assert corpora.folder() == tmp_path
    monkeypatch.setenv(corpora.FOLDER, "")
    assert corpora.folder().name == "rnn-twins"


def test_who_reads_the_default_text_loads_nothing_of_the_network():
    """pooch and requests are imported where a corpus is asked for by its name."""
    asked = "import sys; from experiments.tasks import text; print({'pooch', 'requests'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "set()\n"


def refused(name):
    """The one line that `load` refuses a corpus with."""
    with pytest.raises(text.CorpusError) as caught:
        text.load(name)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    return str(caught.value)


def left(tmp_path):
    """What stands in the folder."""
    return {path.name for path in (tmp_path / "folder").iterdir()}
