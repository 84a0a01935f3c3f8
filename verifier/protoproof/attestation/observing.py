"""Whether certificates are about inputs of a data set: ONNX Runtime runs each of them again."""

from __future__ import annotations

from pathlib import Path

from protoproof.campaign.instances import Instances
from protoproof.certificate.schema import Core
from protoproof.data.preprocess import Preprocessing
from protoproof.errors import InputError, ProtoProofError
from protoproof.network import Network, load
from protoproof.network.onnx.node import printable
from protoproof.network.pixels import PixelRule
from protoproof.network.recorded import confirm_latent, input_digest
from protoproof.verdict import Status


class Observer:
    """A data set, and the network that sees it.

    Attributes:
        name: of the data set, made visible.
        sha256: the fingerprint of its arrays.
        instances: its inputs.

    ``preprocessing``: what was done to pictures, see :mod:`protoproof.data.preprocess`.
    """

    def __init__(
        self,
        instances: Instances,
        model: Path,
        model_sha256: str,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        self.name, self.sha256 = printable(instances.name, 120), instances.sha256
        self.instances, self._model, self._expected = instances, model, model_sha256
        self._preprocessing = preprocessing
        self._networks: dict[tuple[tuple[str, ...], str], Network] = {}
        self._places: dict[PixelRule, dict[str, int]] = {}

    def objection(self, core: Core) -> tuple[str, bool] | None:
        """Why a certificate is not about one of the inputs, and whether that is undecided."""
        try:
            return self._objection(core)
        except ProtoProofError as error:
            return f"its input cannot be run: {error}", error.exit_code == 3

    def _objection(self, core: Core) -> tuple[str, bool] | None:
        network = self._network(core)
        index = self._index(network, core.instance.input_sha256)
        if index is None:
            return f"its input is none of the data {self.name}", False
        x = self.instances.input(index, network.pixels)
        verdict, sentence = confirm_latent(core.instance, network, x)
        if verdict.status is Status.PROVED:
            return None
        return sentence, verdict.status is Status.UNKNOWN

    def _network(self, core: Core) -> Network:
        key = core.model.latent, core.model.output
        if key not in self._networks:
            network = load(
                self._model, latent=key[0], output=key[1], preprocess=self._preprocessing
            )
            if network.sha256 != self._expected:
                raise InputError(f"{self._model}: was changed while it was read")
            self._networks[key] = network
        return self._networks[key]

    def _index(self, network: Network, digest: str) -> int | None:
        """Where an input lies in the data, by its hash as the network takes it."""
        key = network.pixels
        if key not in self._places:
            inputs = range(len(self.instances.x))
            self._places[key] = {
                input_digest(self.instances.input(i, network.pixels)): i for i in inputs
            }
        return self._places[key].get(digest)
