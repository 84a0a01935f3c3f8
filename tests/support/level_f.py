"""Float32 executions of a head against what the checker allows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from protoproof.certificate.schema import Core, IntervalEvidence
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import Budget
from protoproof.kernel.float32.budget import (
    Rounding,
    allowances,
    allowances_anywhere,
    rounding,
)
from protoproof.kernel.float32.scores import Allowance
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.model.file import BoundHead
from tests.support.foreign.precise import Precise, needed
from tests.support.foreign.running import Floats
from tests.support.rounding import MODES, Rounded


@dataclass
class Trial:
    """A head over a box of latents.

    Attributes:
        wrong: what was farther from the exact scores than it may be.
        used: the largest share of a budget that an execution used up.
    """

    model: onnx.ModelProto
    bound: BoundHead
    low: float = 0.0
    high: float = 1.0
    wrong: list[str] = field(default_factory=list)
    used: float = 0.0

    @classmethod
    def of(cls, model: onnx.ModelProto, latents: tuple[str, ...], output: str) -> Trial:
        with Budget().active():
            return cls(model, ModelFile(model.SerializeToString()).bound(latents, output))

    @property
    def known(self) -> Rounding:
        with Budget().active():
            return rounding(self.bound)

    def allowed(
        self, predicted: int, labels: tuple[int, ...], anywhere: bool = False
    ) -> dict[int, Allowance]:
        """Where nothing is known of a latent but that it is in the box, or not even that."""
        head = self.bound.head
        every = range(head.class_count)
        about_labels = head.decision.kind == "labels"
        core = SimpleNamespace(
            model=SimpleNamespace(decision=head.decision.kind),
            instance=SimpleNamespace(predicted=predicted, labels=labels),
            rivals=tuple(k for k in every if about_labels or k != predicted),
            facts=(),
            evidence=IntervalEvidence(),
        )
        shape = head.location_count, head.channels
        where = BoundedDomain.around(np.full(shape, self.low), np.full(shape, self.high))
        with Budget().active():
            asked = cast(Core, core)
            if anywhere:
                return allowances_anywhere(self.bound, asked)
            return allowances(self.bound, asked, Bounds(head, asked, where), where)

    def run(self, count: int, seed: int = 0) -> Trial:
        """Random latents, each in every way of rounding and by ONNX Runtime."""
        output = self.known.known.logits
        precise = Precise(self.model, self.bound.latents, output)
        rounded = Rounded(self.model, self.bound.latents, output)
        runtime = Runtime(self.model, precise.cuts, output)
        rng = np.random.default_rng(seed)
        kept: dict[Any, list[dict[int, Allowance]]] = {}
        for number in range(count):
            spread = (1.0, 0.05)[number % 2]
            latent = {
                cut.tensor: (
                    self.low + (self.high - self.low) * spread * rng.random(cut.shape)
                ).astype(np.float32)
                for cut in self.bound.cuts
            }
            exact = precise([latent[name] for name in precise.cuts])
            which = int(np.argmax(exact)), tuple(np.flatnonzero(exact > 0).tolist())
            if which not in kept:
                kept[which] = [self.allowed(*which, anywhere) for anywhere in (False, True)]
            computed = [(mode, rounded(latent, mode, seed + number)) for mode in MODES]
            for mode, scores in (*computed, ("runtime", runtime(latent))):
                for allowed in kept[which]:
                    self.compare(exact, scores, allowed, mode, which)
        return self

    def compare(
        self,
        exact: Floats,
        computed: Floats,
        allowed: dict[int, Allowance],
        mode: str,
        which: tuple[int, tuple[int, ...]],
    ) -> None:
        c, labels = which
        decision = self.bound.head.decision
        for k, one in allowed.items():
            if decision.kind == "labels":
                sign = 1 if k in labels else -1
                margin, seen = sign * exact[k], sign * computed[k]
            else:
                margin, seen = exact[c] - exact[k], computed[c] - computed[k]
            if not np.isfinite(seen):
                continue  # it overflowed, which is excluded
            if margin > one.budget / decision.scale and not seen > 0:
                self.wrong.append(f"{mode}: class {k} wins, {margin} becomes {seen}")
            if self.known.known.scores.over >= 0:
                continue  # quotients: what is bounded is what is above the line
            if abs(seen - margin) > one.apart or seen < one.least:
                self.wrong.append(f"{mode}: {margin} becomes {seen}, {one}")
            if np.isfinite(one.apart):
                self.used = max(self.used, abs(seen - margin) / one.apart)


class Runtime:
    """The part of a graph behind its latent, by ONNX Runtime."""

    def __init__(self, model: onnx.ModelProto, cuts: tuple[str, ...], output: str) -> None:
        nodes = needed(model, set(cuts), output)
        used = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            "head",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in cuts],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            [t for t in model.graph.initializer if t.name in used],
        )
        whole = helper.make_model(
            graph, opset_imports=model.opset_import, ir_version=model.ir_version
        )
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        self.session = onnxruntime.InferenceSession(
            whole.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, latent: dict[str, NDArray[np.float32]]) -> Floats:
        (found,) = self.session.run(None, latent)
        return np.asarray(found, dtype=np.float64).reshape(-1)
