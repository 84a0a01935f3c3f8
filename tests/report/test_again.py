"""Pages that prove themselves, in a browser without a network, unless anything was changed."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.heldout import heldout
from protoproof.explanation.explainer import Explainer
from protoproof.formal.portable import kernel_script, portable_proof
from protoproof.kernel import ModelFile
from protoproof.network import load
from protoproof.report.files.explanation_files import Files, explain_to_files
from protoproof.report.page.again import MARK, shown
from protoproof.report.page.html import TEMPLATES, render_explanation
from protoproof.resources import ZOO, zoo_path
from tests.support.browser import Tab, browser, node, tab
from tests.support.formal import false_statements, run_node
from tests.support.kernel.builders import scene
from tests.support.kernel.float32 import at_f
from tests.support.kernel.moves import with_witnesses
from tests.support.kernel.sizes import certificate
from tests.support.pages import make_core, make_page, make_scene

SWEEP = pytest.mark.sweep
QUICK = "motion-labels"
HOSTILE = '</script><script>alert(1)</script>\u2028\u202e"}]'
BLOCK = re.compile(r'<script type="text/plain" id="(\w+)" data-sha256="(\w+)">([^<]*)</script>')


def packed(text: str) -> tuple[str, str]:
    """As blocks of a page hold it: the hash, and the text packed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = packer.compress(text.encode()) + packer.flush()
    return hashlib.sha256(text.encode()).hexdigest(), base64.b64encode(content).decode()


def blocks(page: str) -> dict[str, str]:
    """What a page carries, unpacked."""
    found = {}
    for name, digest, content in BLOCK.findall(page):
        text = zlib.decompress(base64.b64decode(content), -15).decode()
        assert hashlib.sha256(text.encode()).hexdigest() == digest
        found[name] = text
    return found


def with_proof(page: str, change: Callable[[dict[str, Any]], None]) -> str:
    """The page with something else in what it carries, as a forger would write it."""
    about = json.loads(blocks(page)["proof"])
    change(about)
    digest, content = packed(json.dumps(about))
    block = f'<script type="text/plain" id="proof" data-sha256="{digest}">{content}</script>'
    return re.sub(r'<script type="text/plain" id="proof".*?</script>', lambda _: block, page)


def tiny(*, proved: bool = True, **texts: Any) -> str:
    """A small page with a proof."""
    here = make_scene()
    portable = portable_proof(make_core(here, "pairs"), ModelFile(here.data), proved=proved)
    return render_explanation(make_page("pairs", **texts).with_proof(portable))


# ------------------------------------------------------------------------------- without a browser


def test_the_policy_admits_two_scripts_by_their_hashes_and_no_address() -> None:
    page = tiny()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    sources = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (scripts[0], kernel_script())
    ]
    directives = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"].split() == sources
    assert directives["worker-src"] == "blob:"
    others = {"img-src", "style-src", "base-uri", "form-action"}
    assert set(directives) == {"default-src", "script-src", "worker-src", *others}
    assert not re.search(r"unsafe|https?:", policy[1])


def test_a_page_without_scripts_says_nothing_of_them() -> None:
    page = tiny(proved=False)
    assert "<script" not in page
    assert "script-src" not in page
    assert 'id="again"' not in page
    assert "browser" not in page
    assert "Statement sha256" in page


def test_no_name_ends_a_block() -> None:
    page = tiny(input_name=HOSTILE)
    assert page.count("<script") == page.count("</script>") == 3
    assert "alert(1)</script>" not in page
    assert set(blocks(page)) == {"kernel", "proof"}
    assert "\u2028" not in page


def test_what_is_shown_is_read_as_a_browser_reads_it() -> None:
    page = (
        "<head><title>t  u</title><style>no</style></head><body class='no'>"
        "<header hidden>a &amp; <b>b</b></header><p title='no'>d</p>"
        "<main><img SRC='x' alt='y' data-no='no'>  c</main>e" + MARK
    )
    assert shown(page) == "t u hidden= a & bd src=x alt=y ce"


@node
def test_hashes_and_packed_data_are_read_as_python_writes_them() -> None:
    """Lengths around a block of SHA-256; stored, fixed and dynamic blocks of deflate."""
    drawn = np.random.default_rng(0)
    texts = [bytes(drawn.integers(0, 256, size, dtype=np.uint8)) for size in (0, 1, 55, 56, 63, 64)]
    texts += [bytes(drawn.integers(0, 256, 70_000, dtype=np.uint8)), b"a" * 100_000]
    texts += [json.dumps(list(range(20_000))).encode(), kernel_script().encode()]
    cases = []
    for text in texts:
        for level, kind in itertools.product((0, 1, 9), (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED)):
            packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, kind)
            content = packer.compress(text) + packer.flush()
            cases.append([base64.b64encode(content).decode(), hashlib.sha256(text).hexdigest()])
    script = (TEMPLATES / "again.js").read_text("utf-8")
    functions = script[script.index("  // Bytes to hexa") : script.index("  // Runs the kernel")]
    said = run_node(
        functions + "for (const [packed, hash] of given) {"
        "  const bytes = new Uint8Array(Buffer.from(packed, 'base64'));"
        "  if (sha256(inflate(bytes)) !== hash) throw new Error(hash);"
        "  let cut = true;"
        "  try { inflate(bytes.subarray(0, bytes.length - 1)); cut = false; } catch (error) {}"
        "  said.push(cut);"
        "}",
        cases,
    )
    assert said == [True] * len(cases)


# ---------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("profile")) as here:
        yield here


def seen(chromium: Tab, page: str, folder: Path) -> tuple[str, str]:
    """State and words of the box, once the page has come to an end."""
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    chromium.problems.clear()
    chromium.open(path)
    state = chromium.settled("#again", "data-state", ("running",))
    return state, chromium.text("#again")


@browser
def test_a_page_proves_itself(chromium: Tab, tmp_path: Path) -> None:
    page = tiny()
    state, words = seen(chromium, page, tmp_path)
    assert state == "proved"
    statement = json.loads(blocks(page)["proof"])["statement"]
    assert "Sufficient: every latent in the domain that meets the" in words
    chromium.evaluate("document.querySelector('#again details').open = true")
    numbers = chromium.text("#again details")
    assert hashlib.sha256(statement.encode()).hexdigest() in numbers
    assert hashlib.sha256(kernel_script().encode()).hexdigest() in numbers
    claim = next(line for line in statement.split("\n") if line.startswith("claim class"))
    assert f"is predicted as {claim[6:]} " in words
    assert chromium.evaluate("document.querySelectorAll('#again ol li').length") == len(
        [line for line in statement.split("\n") if line.startswith("pair ")]
    )
    assert chromium.problems == []


@browser
def test_no_name_changes_what_is_proved(chromium: Tab, tmp_path: Path) -> None:
    """Markup, entities, blanks and hidden characters in names are text, and read alike here."""
    names = (
        HOSTILE,
        "&amp;&lt; \u00a0\t \r\n\u3000x",
        "<textarea><title></main></header>\x00\u2029",
    )
    page = tiny(title=names[0], input_name=names[1], predicted=names[2])
    state, words = seen(chromium, page, tmp_path)
    assert state == "proved", words
    assert chromium.problems == []


def other_claim(about: dict[str, Any]) -> None:
    about["statement"] = dict(false_statements(about["statement"]))["another claim"]


def other_fact(about: dict[str, Any]) -> None:
    about["statement"] = dict(false_statements(about["statement"]))["a fact that does not hold"]


def other_proof(about: dict[str, Any]) -> None:
    about["proof"] = re.sub(r"^rounds \d+|margins \d+", "margins 0", about["proof"], flags=re.M)


def no_words(about: dict[str, Any]) -> None:
    about["shown"] = "0" * 64


@browser
@pytest.mark.parametrize("change", [other_claim, other_fact, other_proof, no_words])
def test_what_is_false_is_refused(
    chromium: Tab, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    """Though all hashes fit."""
    state, words = seen(chromium, with_proof(tiny(), change), tmp_path)
    assert state == "refused"
    assert "Refused" in words
    assert "Proved" not in words
    assert "What was proved" not in words
    assert chromium.problems == []


def digit_of(page: str, start: int) -> str:
    """The page with its first digit after a place changed."""
    at = start + re.search(r"[0-9]", page[start:]).start()  # type: ignore[union-attr]
    return page[:at] + str((int(page[at]) + 1) % 10) + page[at + 1 :]


@browser
@pytest.mark.parametrize(
    ("place", "after"),
    [
        ("<h1>", 0),
        ("<summary>All", 0),
        ('class="tile', 200),
        ('id="kernel" data-sha256="', 0),
        ('id="kernel" data-sha256="', 2000),
        ('id="proof" data-sha256="', 0),
        ('id="proof" data-sha256="', 2000),
    ],
)
def test_one_changed_digit_is_refused(
    chromium: Tab, tmp_path: Path, place: str, after: int
) -> None:
    """In words, in a picture, in a hash, in what is packed."""
    page = tiny(title="0 is seen")
    changed = digit_of(page, page.index(place) + len(place) + after)
    state, words = seen(chromium, changed, tmp_path)
    assert state == "refused"
    assert "was changed" in words or "not those that it was written with" in words
    assert chromium.text("main .stamp") == "Refused: see below"


@browser
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<title>", "<title>Not "),
        ("<main>", "<p>Prediction right.</p><main>"),
        ("</main>", '</main><section id="again">Proved</section>'),
        ("<header>", "<header hidden>"),
        ('aria-label="The input', 'aria-label="Another input'),
        ("<image ", '<image transform="scale(-1,1)" '),
    ],
)
def test_another_frame_is_refused(chromium: Tab, tmp_path: Path, old: str, new: str) -> None:
    """Around the words, in their places, or said to those who do not see."""
    page = tiny()
    assert old in page
    state, words = seen(chromium, page.replace(old, new, 1), tmp_path)
    assert (state, "not those that it was written with" in words) == ("refused", True)


@browser
def test_a_changed_script_does_not_run(chromium: Tab, tmp_path: Path) -> None:
    page = tiny().replace('"use strict"', '"use strict" ', 1)
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    chromium.problems.clear()
    chromium.open(path)
    chromium.settled("#again", "class", ())
    assert chromium.evaluate("document.getElementById('again').dataset.state") is None
    assert "did not run" in chromium.text("#again")


@browser
def test_where_no_worker_may_start_the_page_itself_proves(chromium: Tab, tmp_path: Path) -> None:
    state, words = seen(chromium, tiny().replace("worker-src blob:", "worker-src 'none'"), tmp_path)
    assert state == "proved"
    assert "Sufficient" in words


@browser
def test_what_is_not_covered_is_said(chromium: Tab, tmp_path: Path) -> None:
    def uncovered(about: dict[str, Any]) -> None:
        about |= {"proof": "", "reason": "not covered by the kernel: proofs part by part"}

    def without_statement(about: dict[str, Any]) -> None:
        uncovered(about)
        about["statement"] = ""

    def beyond(about: dict[str, Any]) -> None:
        about["beyond"] = ["size bounds", HOSTILE]

    for change in (uncovered, without_statement):
        state, words = seen(chromium, with_proof(tiny(), change), tmp_path)
        assert state == "open"
        assert "Not covered by the kernel: proofs part by part." in words
        assert "What was proved" not in words
    state, words = seen(chromium, with_proof(tiny(), beyond), tmp_path)
    assert state == "partly"  # and so not green
    assert "Not covered by the kernel: size bounds." in words
    assert "<script>alert(1)" in words  # as text
    assert chromium.problems == []


def answers(chromium: Tab, *files: Path) -> list[str]:
    """What the page says of files that are given to it, once it has compared all of them."""
    chromium.choose("#again input", *files)
    chromium.evaluate(
        f"new Promise(done => {{ (function look() {{ if (document.querySelectorAll("
        f"'#again .files li[class]').length === {len(files)}) done(); else setTimeout(look, 20);"
        "})(); })"
    )
    return chromium.text("#again .files").splitlines()


@browser
def test_a_file_is_compared_with_the_network_of_the_statement(
    chromium: Tab, tmp_path: Path
) -> None:
    """Its hash, and the head that it computes."""
    state, _ = seen(chromium, tiny(), tmp_path)
    assert state == "proved"
    model, other = tmp_path / "net.onnx", tmp_path / "other\u202e.onnx"
    model.write_bytes(make_scene().data)
    other.write_bytes(make_scene().data[:-1] + b"x")
    same, different = answers(chromium, model, other)
    assert (
        "net.onnx is the network of the statement: equal SHA-256. And it computes the head" in same
    )
    assert "Refused: other[U+202E].onnx is not the network of the statement." in different
    assert hashlib.sha256(other.read_bytes()).hexdigest() in different
    assert chromium.problems == []


@browser
def test_a_statement_about_another_head_is_not_that_of_the_file(
    chromium: Tab, tmp_path: Path
) -> None:
    """A true statement with the hash of a network that computes something else."""
    other = tmp_path / "other.onnx"
    other.write_bytes(make_scene(4).data)

    def renamed(about: dict[str, Any]) -> None:
        lines = about["statement"].split("\n")
        lines[1] = f"model {ModelFile(make_scene(4).data).sha256}"
        about["statement"] = "\n".join(lines)

    state, _ = seen(chromium, with_proof(tiny(), renamed), tmp_path)
    assert state == "proved"
    (answer,) = answers(chromium, other)
    assert "Refused: other.onnx does not compute the head of the statement" in answer


@browser
def test_a_model_in_several_files_is_compared_by_their_list(chromium: Tab, tmp_path: Path) -> None:
    here = make_scene()
    data = {"weights.bin": b"0123", "more": b""}

    def in_files(about: dict[str, Any]) -> None:
        file = ModelFile(here.data, data)
        listed = " ".join(f"{json.dumps(n)} {digest} {size}" for n, digest, size in file.files)
        lines = about["statement"].split("\n")
        lines[1], lines[2] = f"model {file.sha256}", f"files {len(file.files)} {listed}"
        about["statement"] = "\n".join(lines)

    state, _ = seen(chromium, with_proof(tiny(), in_files), tmp_path)
    assert state == "proved"
    paths = [tmp_path / name for name in ("net.onnx", "wrong.bin", *data)]
    for path, content in zip(paths, (here.data, b"0124", *data.values()), strict=True):
        path.write_bytes(content)
    alone, wrong = answers(chromium, *paths[:2])
    assert "Only the hash was compared: to compare its head, drop its data files too." in alone
    assert "Refused: wrong.bin" in wrong
    chromium.evaluate("document.querySelector('#again .files').replaceChildren()")
    first, second = answers(chromium, *paths[2:])
    assert "weights.bin is the data file weights.bin" in first
    assert "more is the data file more" in second


@browser
@pytest.mark.parametrize(
    "name", [name if name == QUICK else pytest.param(name, marks=SWEEP) for name in ZOO]
)
def test_pages_of_the_zoo_prove_themselves(chromium: Tab, tmp_path: Path, name: str) -> None:
    explainer = Explainer(load(zoo_path(name)))
    files = Files(tmp_path / "a.cert.json", ("protoproof",), ())
    session = explain_to_files(explainer, heldout(name, 1).x[0], "input", files)
    assert session.page is not None
    state, words = seen(chromium, session.page.read_text("utf-8"), tmp_path)
    statement = json.loads(blocks(session.page.read_text("utf-8"))["proof"])
    explained = session.explanation.certificate
    if "Not covered by the kernel: level F" in words:  # which is not for every head
        assert explained is not None
        assert explained.core.level == "F"
        statement["beyond"] = ["level F"]
    whole = "partly" if statement["beyond"] else "proved"
    assert state == (whole if statement["proof"] else "open"), words
    assert chromium.problems == []


@browser
def test_float32_is_said(chromium: Tab, tmp_path: Path) -> None:
    """What the kernel does not know at level F is not covered; the page is not refused for it."""
    here = scene(2, grid=(2, 2), bias=None, distance="direct")
    portable = portable_proof(at_f(here), ModelFile(here.data))
    page = render_explanation(make_page("pairs").with_proof(portable))
    state, words = seen(chromium, page, tmp_path)
    assert (state, "Level F:" in words) == ("proved", True)

    def unknown(about: dict[str, Any]) -> None:
        """A logarithm that errs more than the kernel allows for."""
        assert " log 8 0 " in about["statement"]
        about["statement"] = about["statement"].replace(" log 8 0 ", " log 9 0 ")

    state, words = seen(chromium, with_proof(page, unknown), tmp_path)
    assert (state, "Level F:" in words) == ("partly", False)
    assert "Not covered by the kernel: level F" in words


@browser
def test_a_witness_counts_once(chromium: Tab, tmp_path: Path) -> None:
    """A proof that gives one witness twice does not make two facts necessary."""
    here, core = with_witnesses(3, box=False)
    portable = portable_proof(core, ModelFile(here.data))
    lines = portable.proof.split("\n")
    at = next(k for k, line in enumerate(lines) if line.startswith("witnesses "))
    end = next(k for k, line in enumerate(lines) if line.startswith("contrasts "))
    lines[at:end] = ["witnesses 3", *[lines[at + 1]] * 3]
    page = render_explanation(make_page("pairs").with_proof(portable))

    def repeated(about: dict[str, Any]) -> None:
        about["proof"] = "\n".join(lines)

    state, words = seen(chromium, with_proof(page, repeated), tmp_path)
    assert state == "proved"
    assert f"Necessary: 1 of the {len(core.facts)} facts" in words


@browser
def test_sizes_are_said(chromium: Tab, tmp_path: Path) -> None:
    here, core, least = certificate(0, "pairs")
    portable = portable_proof(core, ModelFile(here.data))
    page = render_explanation(make_page("pairs").with_proof(portable))
    state, words = seen(chromium, page, tmp_path)
    assert state == "proved", words
    assert f"Size: every explanation of the vocabulary “pairs” has at least {least} fact" in words
