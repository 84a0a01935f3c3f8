"""A certificate's record of an input against the input itself: its hash, and its latent."""

from __future__ import annotations

import base64
import hashlib

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import Instance
from protoproof.network.network import Network
from protoproof.network.onnx.runtime import Observation
from protoproof.verdict import PROVED, REFUTED, Verdict, unknown

# Two machines' float32 encoders were seen to differ by about 1e-6 on latents in [0, 1].
_OTHER_MACHINE = 1e-4


def input_digest(x: NDArray[np.float32]) -> str:
    """sha256 of an input tensor: dtype, shape and bytes, so that no other input can stand in."""
    data = np.ascontiguousarray(x, dtype="<f4")
    header = b"<f4" + repr(tuple(int(n) for n in data.shape)).encode()
    return hashlib.sha256(header + data.tobytes()).hexdigest()


def same_prediction(recorded: Instance, network: Network, seen: Observation) -> bool:
    """Whether a certificate records the class, or the labels, that the runtime predicts."""
    if network.head.decision.kind == "labels":
        # of labels, ``predicted`` is the first of those that are explained
        return recorded.labels == seen.labels
    return recorded.predicted == seen.predicted


def confirm_latent(
    recorded: Instance, network: Network, x: NDArray[np.float32]
) -> tuple[Verdict, str]:
    """Whether the runtime on this machine computes the recorded latent for ``x``, in a sentence.

    An observation (level X), and the only link between an input and a certificate: the checker
    compares the input's hash, which anybody can write into a certificate. PROVED means equal bit
    for bit; UNKNOWN that float32 rounding on another machine may explain the difference.

    Raises:
        InputError, FragileError: see :meth:`protoproof.network.Network.observe`.
    """
    observed = network.observe(x)
    latent = np.frombuffer(base64.b64decode(recorded.latent), dtype="<f4")
    if latent.size != observed.latent.size:
        return REFUTED, "the recorded latent has another shape than the network's"
    same = same_prediction(recorded, network, observed)
    gap = float(np.abs(latent - observed.latent.ravel()).max())
    if same and latent.tobytes() == observed.latent.tobytes():
        return PROVED, "the runtime here computes the recorded latent for this input, bit for bit"
    sentence = f"the runtime here computes another latent for this input (by up to {gap:.3g})"
    if same and gap <= _OTHER_MACHINE:
        return unknown("another machine's rounding"), sentence
    return REFUTED, sentence
