"""Room *network*: an ONNX file becomes an encoder and a head. Start with :func:`load`."""

from protoproof.network.network import Network, load
from protoproof.network.onnx.runtime import Observation

__all__ = ["Network", "Observation", "load"]
