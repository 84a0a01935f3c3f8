"""The list of the zoo, made from the files beside the networks: ``python -m models.zoo_table``.

Writes ``docs/zoo.md``; a test compares it with what the files say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.families import FAMILIES
from models.heldout import names

ZOO = Path(__file__).with_name("zoo")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "zoo.md"

HEAD = """# The zoo

Small prototype networks, trained on real data. Beside every `models/zoo/NAME.onnx` lie its
provenance `NAME.json` (data and its licence, seed, recipe, accuracies, versions, sha256, and the
training sample behind every prototype) and `NAME.prototypes.png`, one picture per prototype. This
page is made from these files by `python -m models.zoo_table`.

`python -m models.build_zoo NAME` trains a network again, on one thread in at most two minutes, from
data that lies in `models/corpora` or inside packages that training needs anyway. `mnist-7x7`,
`mnist-1x1`, `mnist-certified` and `mnist-explained` (nine minutes) were trained on 50,000 MNIST
images outside `mnist5k` and need them (`--data mnist_train.npz`). `models.heldout.heldout(NAME, n)`
gives samples that a network has never seen. On the same kind of processor and with the same
packages a run gives the same file.

All but these four are plain modules from an input to scores, written by a torch exporter with its
defaults ("legacy" where `dynamo=False`), in one file: one output, tensors named by the exporter.
Their only metadata are names (classes, range of inputs, receptive field, classes of prototypes),
which no proof reads. Accuracy is that of the exported file in ONNX Runtime on held-out samples: for
emoji unseen drawings, for motions the archive's test recordings, for `mnist-shots` kinds of digits
of which the encoder has seen no example.
"""

TRAINED = {
    "mnist-7x7": ("64 x 7 x 7", ""),
    "mnist-1x1": ("128", ""),
    "mnist-certified": ("64", ", certified training"),
    "mnist-explained": ("32", ", certified training for explanations"),
}
"""Latents of what ``train`` made, and how it was trained where that is no common way."""

COLUMNS = (
    "| network | head | data | latent | prototypes | classes | exporter | accuracy | file |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


def page() -> str:
    """The Markdown text."""
    rows = [_row(name, provenance(name)) for name in names()]
    data: dict[str, str] = {}
    for name in FAMILIES:
        facts = provenance(name)["data"]
        data[facts["name"]] = (
            f"- **{facts['name']}** ({facts['train']} training, {facts['test']} held-out samples): "
            f"{facts['source']}. {_sentence(facts['prepared'])} Licence: {facts['licence']}."
        )
    return (
        f"{HEAD}\n{COLUMNS}{''.join(rows)}\n## Data\n\n"
        + "\n".join(data[key] for key in sorted(data))
        + "\n"
    )


def provenance(name: str) -> dict[str, Any]:
    """What lies beside a network."""
    facts: dict[str, Any] = json.loads((ZOO / f"{name}.json").read_text(encoding="utf-8"))
    return facts


def _row(name: str, facts: dict[str, Any]) -> str:
    accuracy, size = facts["accuracy"], (ZOO / f"{name}.onnx").stat().st_size
    if name not in FAMILIES:
        latent, training = TRAINED[name]
        cells = [
            f"ProtoPNet, log similarity{training}",
            "mnist",
            latent,
            str(len(facts["prototypes"])),
            "10",
            "own",
            f"{accuracy['mnist5k']:.1%}",
        ]
    else:
        head = facts["head"]
        banks = f"{head['banks']} of " if head["banks"] > 1 else ""
        latent = " x ".join(str(length) for length in head["latent"] if length > 1)
        share = f"{accuracy['test']:.1%}"
        if "test_all_labels" in accuracy:
            share += f" of labels, {accuracy['test_all_labels']:.1%} of samples"
        cells = [
            facts["title"],
            facts["data"]["name"],
            banks + latent,
            str(head["prototypes"]),
            str(head["classes"]),
            facts["recipe"]["exporter"],
            share,
        ]
    return f"| `{name}` | {' | '.join(cells)} | {size / 1000:.0f} kB |\n"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
