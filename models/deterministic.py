"""Repeatable runs: one seed, one thread, deterministic kernels, and which packages took part."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import torch


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Seed torch, forbid nondeterministic kernels, use one thread; restore all of it afterwards.

    Sums depend on how they are shared out among threads, so one thread makes the result the same
    for any number of cores. On networks this small more threads gain little, and on a busy
    machine they were seen to take four times as long, waiting for each other.
    """
    before, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(before)


def versions(*more: str) -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for package in ("torch", "numpy", "onnx", "onnxruntime", *more):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
