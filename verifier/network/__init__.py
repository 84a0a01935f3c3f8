"""Room *network*: an ONNX file becomes an encoder and a head. Start with :func:`load`."""

from verifier.network.network import Network, load
from verifier.network.runtime import Observation

__all__ = ["Network", "Observation", "load"]
