"""The certified zoo network and certificates about regions around its inputs."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from protoproof.certificate import canonical_bytes
from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import Core, Envelope, ReachDomain
from protoproof.certification.certify import Certifier
from protoproof.certification.result import Certified
from protoproof.data.dataset import load_data
from protoproof.kernel import CheckReport, check
from protoproof.network import load
from protoproof.resources import zoo_path

ADAPTER: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)


class PatientCertifier(Certifier):
    """Has no limit in seconds but one that is asked for: proofs do not depend on the machine."""

    def certify(self, *arguments: Any, **options: Any) -> Certified:
        return super().certify(*arguments, **({"timeout": math.inf} | options))

    def sandwich(self, *arguments: Any, **options: Any) -> Any:
        return super().sandwich(*arguments, **({"timeout": math.inf} | options))


@cache
def certifier(name: str = "mnist-certified") -> PatientCertifier:
    return PatientCertifier(load(zoo_path(name)))


@cache
def image() -> NDArray[np.float32]:
    return np.asarray(load_data("mnist5k").x_test[3])


def examine(core: Core) -> CheckReport:
    return check(canonical_bytes(Envelope(core=core)), certifier().explainer.model_file)


def forged(core: Core, **changes: Any) -> Core:
    """The same certificate with another region."""
    domain = core.domain
    assert isinstance(domain, ReachDomain)
    assert domain.region is not None
    region = ADAPTER.validate_python(domain.region.model_dump() | changes)
    return core.model_copy(update={"domain": domain.model_copy(update={"region": region})})
