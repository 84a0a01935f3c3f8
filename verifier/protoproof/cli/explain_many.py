"""``explain`` for many inputs: which ones, one line for each, and the summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from protoproof.cli.explain_options import Printed
from protoproof.cli.terminal import console, safe
from protoproof.length import size_words

if TYPE_CHECKING:
    from protoproof.campaign.instances import Instances
    from protoproof.data.dataset import Dataset
    from protoproof.explanation.explainer import Explainer
    from protoproof.explanation.options import ExplainOptions
    from protoproof.network import Network
    from protoproof.network.inputs import InputArray
    from protoproof.report.files.batch import Source, Streamed, Summary
    from protoproof.report.files.beside import Beside
    from protoproof.report.files.explanation_files import Files
    from protoproof.report.files.nearest_patches import Training


def from_array(array: InputArray) -> Iterator[Source]:
    """The entries of a file, called ``FILE[INDEX]``."""
    path = array.path
    for index in range(len(array)):
        yield f"{path.name}[{index}]", f"{path.stem}-{index}", partial(array.entry, index), None


def from_data(network: Network, source: str) -> tuple[Iterator[Source], tuple[str, ...]]:
    """The test images of a data set as inputs, and what is done to their numbers.

    Raises:
        InputError: there is no such data set, its images do not fit the network, or nobody states
            what the network takes them as.
    """
    data, read, labelled = _opened(network, source)
    if network.head.decision.kind != "labels":
        labelled = labelled.fit(network.class_names, network.about.classes_stated)
    stem = Path(data.name).stem
    remarks = [network.pixels.remark("numbers") if network.range_stated else ""]
    if network.pixels.channels == 3 and data.input_shape[0] == 1:
        remarks.append("the images are grey; their three colours are equal")
    remarks.append(_taken_classes(network, data))
    return (
        (
            *_named(data, stem, index),
            partial(read, data.x_test, index),
            _label_of(network, labelled, index),
        )
        for index in range(len(data.x_test))
    ), tuple(filter(None, remarks))


def _taken_classes(network: Network, data: Dataset) -> str:
    """That a network's classes are taken to be the data's, where it does not name them itself."""
    names = data.classes
    labels = network.head.decision.kind == "labels" or all(name.isdigit() for name in names)
    if network.about.classes_stated or labels or len(names) != len(network.class_names):
        return ""
    first = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    return f"the network does not name its classes, which are taken to be, in its order: {first}"


def _label_of(network: Network, data: Instances, index: int) -> str | None:
    """The network's name of the class that a test image is labelled as.

    Labels count as the network does (:meth:`Instances.fit`); where data and network have other
    numbers of classes, nothing is said.
    """
    if len(data.classes) != len(network.class_names):
        return None
    return network.class_names[int(data.y[index])]


def _named(data: Dataset, stem: str, index: int) -> tuple[str, str]:
    """What a test image is called, and its files: by its own file where it has one."""
    if data.files:
        file = Path(data.files[index])
        return str(file), f"{file.parent.name}-{file.stem}"
    return f"{data.name}[{index}]", f"{stem}-{index}"


def training_images(network: Network, source: str) -> Training:
    """The training images of a data set, scaled to the range that the network declares.

    Raises:
        InputError: there is no such data set, or its images do not fit the network.
    """
    from protoproof.report.files.nearest_patches import Training

    data, read, _ = _opened(network, source)
    return Training(
        data.name, [data.classes[int(label)] for label in data.y_train], partial(read, data.x_train)
    )


def _opened(
    network: Network, source: str
) -> tuple[Dataset, Callable[[Any, int], np.ndarray[Any, np.dtype[np.float32]]], Instances]:
    """A data set that fits the network, how one of its images becomes an input, and its test
    images with labels as the data set has them."""
    from protoproof.campaign.instances import instances_of
    from protoproof.data.dataset import load_data

    rule = network.pixels
    data = load_data(source, rule.preprocessing)
    instances = instances_of(data, source)
    instances.require_taken(rule)

    def read(images: Any, index: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return rule.values(images[index])

    return data, read, instances


def run_stream(
    explainer: Explainer,
    sources: Iterator[Source],
    remarks: tuple[str, ...],
    limit: int | None,
    files: Files,
    options: ExplainOptions,
    beside: Beside,
    printed: Printed,
) -> int:
    """Explain, print as results come, and return the exit code.

    ``remarks``: what is done to the numbers of every input, said first.
    """
    from protoproof.report.files.batch import Summary, explain_stream

    summary = Summary(remarks)
    if printed == "words":
        for remark in remarks:
            console().print(f"input       {safe(remark)}", highlight=False)
    for item in explain_stream(explainer, islice(sources, limit), files, options, beside):
        summary.add(item)
        if printed == "json":
            _print_line(item.to_json())
        elif printed == "words":
            _print_item(item)
    if printed == "json":
        _print_line({"summary": summary.to_json()})
    elif printed == "words":
        _print_summary(summary, files.out)
    return summary.exit_code


def _print_line(document: Any) -> None:
    """One line of JSON Lines, at once."""
    print(json.dumps(document, ensure_ascii=True, allow_nan=False), flush=True)


def _print_item(item: Streamed) -> None:
    out = console()
    if item.session is None:
        out.print(f"{safe(item.name)}: error: {safe(str(item.error))}", highlight=False)
        return
    explanation = item.session.explanation
    words = f"{safe(item.name)}: {safe(explanation.predicted_name)}, "
    if explanation.certificate is None:
        verdict = safe(str(explanation.verdict))
        out.print(f"{words}{verdict}{_truth(item.session)}", highlight=False)
        return
    count = size_words(explanation.size, explanation.numbers)
    beside = "".join(f"; {safe(note.title)}" for note in item.session.notes)
    spare = len(explanation.superfluous)
    counted = f", {spare} superfluous" if spare else ""
    held = "conditionally proved" if explanation.conditions else "proved"
    out.print(
        f"{words}{held} by {count} ({explanation.vocabulary}), "
        f"{len(explanation.necessary)} with a witness{counted}, {explanation.seconds:.2f} s{beside}"
        f"{_truth(item.session)}",
        highlight=False,
    )


def _truth(session: Any) -> str:
    """What is said of a prediction that is not what the input is labelled as."""
    if session.right is not False:
        return ""
    return f"; [bold red]WRONG[/bold red]: labelled {safe(session.labelled)}"


def _print_summary(summary: Summary, out_directory: Path) -> None:
    found, out = summary.to_json(), console()
    counts = ", ".join(f"{count} {word}" for word, count in found["verdicts"].items())
    out.print(f"\ninputs      {found['inputs']}: {counts}", highlight=False)
    if found["size_max"] is not None:
        spare = f", {found['superfluous']} superfluous" if found["superfluous"] else ""
        out.print(
            f"facts       mean {found['size_mean']}, median {found['size_median']:g}, "
            f"max {found['size_max']}; {found['witness_share']:.0%} with a witness{spare}",
            highlight=False,
        )
        out.print(
            f"numbers     mean {found['numbers_mean']}, median {found['numbers_median']:g}, "
            f"max {found['numbers_max']}, to read",
            highlight=False,
        )
    if found["labelled"]:
        out.print(
            f"predictions {found['right']} of {found['labelled']} right, which no proof says",
            highlight=False,
        )
    out.print(f"time        {found['seconds']:.1f} s", highlight=False)
    out.print(f"files       {safe(str(out_directory))}", highlight=False)
