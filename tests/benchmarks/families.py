"""The tables of families in the documents: ``python -m tests.benchmarks.families``.

README.md and docs/measured.md, from ``results/heldout-*.json``, ``results/foreign.json``,
``results/kernels-*.json`` and ``results/full-size.json`` alone; a test compares the documents with
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from models.families import FAMILIES
from protoproof.resources import ZOO
from tests.benchmarks.full_size import TARGETS
from tests.benchmarks.measure import ROOT
from tests.benchmarks.reading_page import sections
from tests.benchmarks.rules import RULES
from tests.benchmarks.table import grid

VOCABULARIES = ("topk", "ceiling", "mixed", "pairs")
RESULTS = ROOT / "tests" / "benchmarks" / "results"
README, PAGE = ROOT / "README.md", ROOT / "docs" / "measured.md"
BEGIN, END = "<!-- made by python -m tests.benchmarks.families -->\n", "<!-- until here -->\n"

HEAD = [
    "recognised: default",
    "legacy exporter",
    "vocabularies",
    "facts",
    "comparison rule",
    "with a witness",
    "accepted",
    "CPU ms",
]

PROSE = """# Measured, family by family

What `explain` needs for one prediction, next to the comparison rule that needs least, over the free
domain and with all defaults (the smallest of all vocabularies counts; witnesses are searched for;
sizes in the other vocabularies are those of `--compare`). `python -m tests.benchmarks --only
foreign heldout-NAME` measures again, `python -m tests.benchmarks.families` makes this page and the
table in the README from the results.

- *recognised*: whether a network of the family is recognised as what it is, from each exporter of
  torch with its defaults (`own`: written by `protoproof export`; `refused`: in one line that names
  the node and what it would have needed; `-`: that exporter cannot write it).
- *facts*: the mean size of the smallest explanation; *vocabularies*: the mean size in each.
- *comparison rule*: mean facts of a rule on the inputs that it explains, and ours on the same.
- *accepted*: certificates that a checker accepts, read again from their bytes, of inputs explained.
- *CPU ms*: median processor time of one explanation, certificate and check included, one thread;
  over 10 inputs, measured apart from the rest (`--only heldout-times`), on a busy machine.
"""

KERNELS = """## Both kernels

Certificates of distinct claims (`topk`, `ceiling`, `mixed` and `pairs`, as recorded and widened; of
every 25th question with witnesses), each read again from its bytes by the checker in Python, and by
the machine-checked kernel with the second reading of model and certificate (`python -m
tests.benchmarks --only kernels-NAME`).
"""

KERNELS_HEAD = [
    "certificates",
    "accepted by both",
    "witnesses proved",
    "only by Python",
    "only by the machine-checked kernel",
    "by neither",
]

FULL_SIZE = """## Networks of full size

224 x 224 pixels, 2,000 prototypes of 128 channels, 200 classes, 7 x 7 locations (`python -m
tests.benchmarks --only full-size`). The encoders have random weights, but for EfficientNet-lite0,
whose weights were trained for ImageNet; nothing here is about accuracy. `projected`: prototypes
are latents of one picture per class, and what is explained is another picture of the first class;
`uniform`: random numbers, as before any training. Files are written by `import`. All is in
processor seconds of one thread on a busy machine. `inspect` and `check` are whole processes,
start included; `import` and loading are not. Explanations are without loading and without the
forward pass, which stand beside them, and with all kernel checks; `auto` keeps the smallest
explanation, and searches for witnesses. Memory is the peak of the largest process, in MiB.

A batch is not used: of {images} pictures that ONNX Runtime was given together, {latents_equal}
latents and {scores_equal} scores had the bits that they have alone (other heads gave others);
a picture took {batched_s:g} s in the batch against {single_s:g} s alone.
"""

GROWTH = """## How searches grow

Processor seconds of the search for one sufficient set over synthetic heads and latents (`python -m
tests.benchmarks --only growth`; certificate and check not included; one latent each, one thread of
a busy machine), and the exponent that fits them best. The explanations differ in size, and small
ones end early: an exponent below 1 is no law.
"""

FULL_SIZE_HEAD = [
    "network", "prototypes", "inspect", "import", "load", "forward pass", *VOCABULARIES,
    "auto, with witnesses", "check", "MiB",
]  # fmt: skip

RULES_HEAD = """## The comparison rules

All are implemented anew from their descriptions (`tests/benchmarks/rules.py`), serve comparison
only and are no part of `explain`, but for the triangle inequality (`--oracle triangle`).
"""

RULES_PROSE = """Two published forms are left out because what they find forces nothing: top-k
takes 0 for the least similarity even where similarities can be negative (cosines, projections,
negated distances), and the triangle and the hypersphere for focal similarity keep the mean over
locations at its observed value, which no fact fixes. A path is published without a proof; it
counts where it is one.

ALE: abductive latent explanations. Beyond L2: Soria, Grastien, Xu-Darme, Girard-Satabin, Chihani,
Cancila. Beyond L2: Generalizing Abductive Latent Explanations to Diverse Prototype-Based
Architectures. ECML PKDD, 2026. ProtoTree: Nauta, van Bree, Seifert. Neural Prototype Trees for
Interpretable Fine-Grained Image Recognition. CVPR, 2021.
"""


def rows_of(name: str) -> list[dict[str, Any]]:
    """The rows of one workload's results; none where it was not measured."""
    return [row for result in results_of(name) for row in result["rows"]]


def results_of(name: str) -> list[dict[str, Any]]:
    """What one workload measured; none where it was not."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return []
    return list(json.loads(path.read_text(encoding="utf-8"))["results"])


def zoo() -> list[dict[str, Any]]:
    """The rows of the zoo, in its order."""
    return [row for name in ZOO for row in rows_of(f"heldout-{name}")]


def short() -> str:
    """The README's table."""
    return grid(["network", *HEAD], ([f"`{row['method']}`", *_cells(row)] for row in zoo()))


def page() -> str:
    """The page."""
    trained = (
        [f"`{row['method']}`", _title(row["method"]), *_cells(row, sizes=True)] for row in zoo()
    )
    rules = (cells for row in [*zoo(), *rows_of("foreign")] for cells in _rules(row))
    return "\n".join(
        [
            PROSE,
            RULES_HEAD,
            grid(["rule", "heads", "source"], RULES),
            RULES_PROSE,
            "## Held-out samples of the zoo\n",
            grid(["network", "head", *HEAD], trained),
            *_listed(),
            *sections(results_of("to-read"), rows_of("fewest"), signals()),
            *_kernels(),
            *_full_size(),
            *_growth(),
            "## Every comparison rule\n",
            grid(["network or head", "rule", "its facts", "ours", "inputs"], rules),
        ]
    )


def signals() -> list[dict[str, Any]]:
    """What sizes tell of wrong predictions."""
    return [row for part in ("digits", "others", "emoji") for row in rows_of(f"signal-{part}")]


def _listed() -> list[str]:
    """The section about the list of heads, where it was measured."""
    rows = [[row["method"], *_cells(row, sizes=True)] for row in rows_of("foreign")]
    title = "## Heads of the field, with random weights\n"
    return [title, grid(["head", *HEAD], rows)] if rows else []


def kernels() -> list[dict[str, Any]]:
    """What both kernels said of certificates of the zoo, in its order."""
    return [row for name in ZOO for row in rows_of(f"kernels-{name}")]


def _kernels() -> list[str]:
    rows = (
        [
            f"`{row['method']}`",
            _title(row["method"]),
            *(f"{row[key]:,}" for key in ("certificates", "both", "witnesses")),
            *(str(len(row[key])) for key in ("only_python", "only_formal", "neither")),
        ]
        for row in kernels()
    )
    return [KERNELS, grid(["network", "head", *KERNELS_HEAD], rows)]


def full_size() -> list[dict[str, Any]]:
    """The rows of networks of full size."""
    return rows_of("full-size")


def _full_size() -> list[str]:
    rows = full_size()
    targets = [
        "*asked for*", "", f"{TARGETS['inspect_s']:g}", "", "", "",
        *[f"{TARGETS['explain_s']:g}"] * (len(VOCABULARIES)), f"{TARGETS['auto_s']:g}",
        f"{TARGETS['check_s']:g}", f"{TARGETS['peak_mib']:,}",
    ]  # fmt: skip
    batch = next(row["batch"] for row in rows if "batch" in row)
    return [FULL_SIZE.format(**batch), grid(FULL_SIZE_HEAD, [targets, *map(_full_size_row, rows)])]


def _growth() -> list[str]:
    """How searches grow, where that was measured."""
    path = RESULTS / "growth.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))["results"][0]
    rows = [
        [by, word, _series(row["seconds"]), _series(row["facts"]), f"{row['exponent']:g}"]
        for by in ("prototypes", "locations", "classes")
        for word, row in found[by].items()
    ]
    largest = [
        [name, f"{row['seconds']:.1f}", str(row["facts"])] for name, row in found["largest"].items()
    ]
    return [
        GROWTH,
        grid(["by", "vocabulary", "seconds", "facts", "exponent"], rows),
        grid(["the largest", "seconds", "facts"], largest),
    ]


def _series(values: Mapping[str, float | None]) -> str:
    return ", ".join(f"{n}: {'-' if v is None else format(v, 'g')}" for n, v in values.items())


def _full_size_row(row: dict[str, Any]) -> list[str]:
    known = row["explained"]
    peak = max(row["inspect_mib"], *(one["peak_mib"] for one in known.values()))
    checks = [one["check_s"] for one in known.values() if "check_s" in one]
    return [
        f"`{row['method']}`",
        row["prototypes"],
        f"{row['inspect_s']:.1f}",
        "-" if "import_s" not in row else f"{row['import_s']:.1f}",
        f"{row['load_s']:.1f}",
        f"{row['forward_s']:.2f}",
        *(_full_size_cell(known.get(word)) for word in (*VOCABULARIES, "auto")),
        f"{min(checks):.1f} to {max(checks):.1f}",
        f"{peak:,}",
    ]


def _full_size_cell(one: dict[str, Any] | None) -> str:
    if one is None:
        return "-"
    if one["facts"] is None:
        return f"{one['verdict']}, {one['seconds']:.1f}"
    said = f"{one['facts']} facts, {one['seconds']:.1f}"
    return f"{said}, {one['necessary']} with a witness" if one["necessary"] else said


def _title(name: str) -> str:
    return FAMILIES[name].title if name in FAMILIES else "ProtoPNet, log similarity"


def _cells(row: dict[str, Any], *, sizes: bool = False) -> list[str]:
    words = [row["default"], row["legacy"]]
    if "images" not in row:
        return [*words, *["-"] * (len(HEAD) - 2)]
    said = row["vocabularies"]
    if not sizes:
        said = ", ".join(part.split()[0] for part in said.split(", "))
    return [
        *words,
        said,
        _number(row["facts_mean"]),
        _comparison(row),
        "-" if row["necessary_share"] is None else f"{row['necessary_share']:.0%}",
        f"{row['proved']} of {row['images']}",
        f"{1000 * times().get(row['method'], row['seconds']):.0f}",
    ]


@cache
def times() -> dict[str, float]:
    """Seconds of one explanation, where they were measured again."""
    return {row["method"]: row["seconds"] for row in rows_of("heldout-times")}


def _comparison(row: dict[str, Any]) -> str:
    name = row["baseline"]
    if name is None:
        return "-"
    rule = row["rules"][name]
    text = f"{_number(rule['facts_mean'])} ({name})"
    if rule["images"] != row["proved"]:
        text += f", ours {_number(rule['ours_mean'])} on the same {rule['images']}"
    return text


def _rules(row: dict[str, Any]) -> Iterable[list[str]]:
    for name, rule in row.get("rules", {}).items():
        means = _number(rule["facts_mean"]), _number(rule["ours_mean"])
        yield [row["method"], name, *means, str(rule["images"])]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def with_table(text: str) -> str:
    """The README's text with the table of the results."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{short()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
