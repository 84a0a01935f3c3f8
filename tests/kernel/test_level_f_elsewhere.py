"""What cancels over the reals is rounded all the same: at level F no range is known of it."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from protoproof.certificate import canonical_bytes
from protoproof.certificate.schema import (
    Core,
    Envelope,
    Execution,
    FreeDomain,
    Instance,
    IntervalEvidence,
    ModelIdentity,
    PairFact,
)
from protoproof.kernel import ModelFile, check
from protoproof.kernel.float32.budget import rounding
from tests.support.kernel.builders import INPUT, distance, down, exact, up
from tests.support.kernel.forms import COMMON, DENSE, EXACT, P, Small

# distances at one place, and u, which is 0: the distances at another place plus 0.7, less both
ELSEWHERE = """
    sa = Slice(d, from0, to0, places) pa = GlobalMaxPool(sa) ta = Reshape(pa, rows)
    sb = Slice(d, from1, to1, places) pb = GlobalMaxPool(sb) tb = Reshape(pb, rows)
    u1 = Mul(tb, powers) u2 = Add(u1, more) u3 = Sub(u2, u1) u = Sub(u3, more) """
CONSTANTS = {
    **COMMON, "powers": np.array([[2.0, 0.5, 4.0, 8.0]]), "more": 0.7,
    "from0": [0, 0], "to0": [1, 1], "from1": [0, 1], "to1": [1, 2],
}  # fmt: skip


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_cancels_is_rounded_wherever_the_latent_is(cancelled: bool) -> None:
    nodes = EXACT + ELSEWHERE + ("a = Add(ta, u) " if cancelled else "a = Identity(ta) ") + DENSE
    model = Small(nodes, ("euclidean", ("nearest",), "linear"), CONSTANTS).model()
    file = ModelFile(model.SerializeToString())
    bound = file.bound(("z",), "y", whole=True)
    assert bound.head.location_count == 1
    z = np.random.default_rng(14).normal(0, 1, (1, 3, 2, 2)).astype(np.float32)
    (scores,) = ReferenceEvaluator(model).run(None, {"z": z})
    far = z.copy()
    far[0, :, 0, 1] = 1e5
    (moved,) = ReferenceEvaluator(model).run(None, {"z": far})
    predicted = int(scores.argmax())
    assert (int(moved.argmax()) != predicted) == cancelled
    here = z[0, :, 0, 0]
    at = [distance(exact(here), exact(p)) for p in P]
    execution = rounding(bound).execution
    assert execution is not None
    found = {}
    for level in ("R", "F"):
        core = Core(
            tool="tests",
            level=level,  # type: ignore[arg-type]
            model=ModelIdentity(
                sha256=file.sha256, latent=("z",), output="y", geometry="euclidean",
                pooling=("nearest",), decision="linear",
            ),
            instance=Instance(
                input_sha256=INPUT, locations=1, channels=3, predicted=predicted,
                latent=base64.b64encode(here.astype("<f4").tobytes()).decode(),
            ),
            domain=FreeDomain(),
            vocabulary="pairs",
            premises="exact",
            facts=tuple(
                PairFact(location=0, prototype=j, lower=down(q).hex(), upper=up(q).hex())
                for j, q in enumerate(at)
            ),
            rivals=tuple(k for k in range(3) if k != predicted),
            evidence=IntervalEvidence(),
            **({"execution": execution} if level == "F" else _NOTHING),
        )  # fmt: skip
        found[level] = check(canonical_bytes(Envelope(core=core)), file).status
    assert found == {"R": "accepted", "F": "incomplete" if cancelled else "accepted"}


_NOTHING: dict[str, Execution] = {}
