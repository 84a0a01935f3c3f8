"""From torch to a recognised ONNX file: ``protoproof.torch.export(module, x, "net.onnx")``.

torch is imported when something is exported, and nothing else here needs it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from protoproof.errors import FragileError, ModelError, ProtoProofError, UsageError
from protoproof.extras import installed, require

if TYPE_CHECKING:
    from torch import Tensor, nn

    from protoproof.network import Network

_SAME = 1e-3  # relative difference of scores that float32 in another order explains
_OPSET = 18


@dataclass(frozen=True)
class Exported:
    """A file, and as what its head was recognised; prints as that.

    Attributes:
        path: the ONNX file, one file.
        network: as :func:`protoproof.load` reads it.
        exporter: of torch's two exporters, the one whose graph was recognised.
        difference: the largest difference between torch's scores and ONNX Runtime's, relative to
            the largest score (at least 1).
    """

    path: Path
    network: Network = field(repr=False)
    exporter: str
    difference: float

    def __str__(self) -> str:
        """How it was recognised, a line for each part."""
        from protoproof.network.head import words

        rows = [("model", str(self.path)), ("exporter", self.exporter)]
        rows += words.parts(self.network.recognised, self.network.latent_range)
        rows += [("compared", f"with torch: scores differ by at most {self.difference:.2g}")]
        if self.network.pixels.problem:
            rows += [("pictures", self.network.pixels.problem)]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    __repr__ = __str__


def export(
    module: nn.Module,
    x: Tensor,
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    preprocess: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Export a trained module to one ONNX file, and say as what its head is recognised.

    It is exported in evaluation mode, for one input at a time, by torch's default exporter, and by
    the older one where the graph of the first is not recognised. Nothing has to be returned by the
    module but its scores: latents and prototypes are found in the graph.

    Args:
        module: its mode and device are left as they are.
        x: one input or a batch, of which the first is used: [N, C, H, W].
        path: the file to write, ``.onnx``.
        overwrite: also over a file that is there.
        classes: one name per class; kept in the file.
        preprocess: what was done to pictures before the module saw them, as ``--preprocess`` says
            it: ``imagenet``, ``mean=..,std=..``, ``range=0,1``; kept in the file.

    Raises:
        ModelError: neither exporter's graph is recognised, or the checker does not read it: one
            line that says why. Nothing is written.
        FragileError: ONNX Runtime computes other scores than torch.
        UsageError: names or ``preprocess`` do not fit.
        OutputError: the file exists already, or cannot be written.
        MissingDependencyError: torch or ONNX Runtime are not installed.
    """
    require("certify", "protoproof.torch.export")
    from protoproof.files import make_directory, require_new, write_atomic

    target = Path(path)
    if target.suffix != ".onnx":
        raise UsageError(f"{target}: the name of a model must end in .onnx")
    if not overwrite:
        require_new(str(target), target, remedy="choose another name, or give overwrite=True")
    first = x.detach()[:1].cpu().float()
    problems = []
    with TemporaryDirectory() as folder, _evaluated(module) as ready:
        draft = Path(folder) / target.name
        for exporter in ("default", "legacy") if installed("onnxscript") else ("legacy",):
            try:
                _written(ready, first, draft, exporter)
                _described(draft, classes, preprocess)
                network = _recognised(draft)
                difference = _compared(ready, first, network)
            except (FragileError, UsageError):
                raise
            except ProtoProofError as error:
                problems.append(str(error).removeprefix(f"{draft}: "))
                continue
            make_directory(target.parent)
            write_atomic(target, network.data)
            return Exported(target, _load(target), exporter, difference)
    raise ModelError(f"{target.name} is not written: {problems[-1] if problems else 'no exporter'}")


@contextlib.contextmanager
def _evaluated(module: nn.Module) -> Iterator[nn.Module]:
    """A copy on the processor, in evaluation mode."""
    import copy

    ready = copy.deepcopy(module).cpu().float().eval()
    for parameter in ready.parameters():
        parameter.requires_grad_(False)
    yield ready


def _written(module: nn.Module, x: Tensor, path: Path, exporter: str) -> None:
    """Run one of torch's exporters, quietly.

    Raises:
        ModelError: it fails.
    """
    import torch

    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    options: dict[str, Any] = {"opset_version": _OPSET, "input_names": ["input"]}
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            if exporter == "default":
                torch.onnx.export(module, (x,), str(path), external_data=False, **options)
            else:
                torch.onnx.export(module, (x,), str(path), dynamo=False, **options)
    except Exception as error:  # exporters raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"torch's {exporter} exporter fails: {reason}") from error
    finally:
        logging.disable(before)


def _described(path: Path, classes: Sequence[str] | None, preprocess: str | None) -> None:
    """Put names into the file."""
    import json

    import onnx

    from protoproof.data.preprocess import preprocessing_of
    from protoproof.network.head.about import METADATA_KEY

    said: dict[str, Any] = {}
    if classes is not None:
        said["classes"] = [str(name) for name in classes]
    if preprocess is not None:
        said["input"] = {"preprocessing": str(preprocessing_of(preprocess))}
    if not said:
        return
    model = onnx.load(path)
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps(said, sort_keys=True))
    path.write_bytes(model.SerializeToString())


def _recognised(path: Path) -> Network:
    """The network, as prover and checker read it.

    Raises:
        ModelError: they do not.
    """
    from protoproof.explanation.certifiable import checkers_objection

    network = _load(path)
    objection = checkers_objection(network)
    if objection:
        raise ModelError(f"explanations cannot be certified: {objection}")
    return network


def _load(path: Path) -> Network:
    from protoproof.network import load

    return load(path)


def _compared(module: nn.Module, x: Tensor, network: Network) -> float:
    """How far ONNX Runtime's scores are from torch's.

    Raises:
        FragileError: by more than rounding explains.
    """
    import torch

    with torch.no_grad():
        returned = module(x)
    every = returned if isinstance(returned, (tuple, list)) else [returned]
    if isinstance(returned, dict):
        every = list(returned.values())
    outputs = [view.reshape(-1).numpy() for view in every if isinstance(view, torch.Tensor)]
    name = network.recognised.output
    scores = network.session.run((name,), {network.view.input: x.numpy()})[0].reshape(-1)
    near = [o for o in outputs if o.shape == scores.shape]
    size = max(1.0, float(np.abs(scores).max()))
    apart = [float(np.abs(o.astype(np.float64) - scores).max()) / size for o in near]
    if not apart or not min(apart) <= _SAME:
        worst = f"{min(apart):.3g}" if apart else "another shape"
        raise FragileError(
            f"ONNX Runtime computes other scores than torch (relative difference: {worst}), so "
            "nothing was written"
        )
    return min(apart)
