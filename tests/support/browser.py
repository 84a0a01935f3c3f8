"""A headless Chromium, driven over a pipe by its DevTools protocol; and Node."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from protoproof.report.audit.html import find_browser

BROWSER = find_browser()
NODE = shutil.which("node")
browser = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
node = pytest.mark.skipif(NODE is None, reason="Node is not installed")


class Tab:
    """One page. ``problems`` are the messages of its console, violations of its policy included."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader, self._writer = reader, writer
        self._number, self._session, self._left = 0, "", b""
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            more = os.read(self._reader.fileno(), 1 << 20)
            assert more, "the browser ended"
            self._left += more
        one, self._left = self._left.split(b"\0", 1)
        found: dict[str, Any] = json.loads(one)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        said = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            self.problems.append(said["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(said["exceptionDetails"])[:400])
        elif event.get("method") == "Runtime.consoleAPICalled":
            self.problems.append(json.dumps(said["args"])[:400])

    def open(self, path: Path) -> None:
        """Load a file."""
        self.call("Page.navigate", url=path.resolve().as_uri())

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or of what it promises. A policy of the page binds it not."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def settled(self, selector: str, attribute: str, unsettled: tuple[str, ...]) -> str:
        """An attribute's value once it is another than these; waits for as long as that takes."""
        given = json.dumps([selector, attribute, list(unsettled)])
        return str(
            self.evaluate(
                f"new Promise(done => {{ const [s, a, not] = {given}; (function look() {{"
                "const e = document.querySelector(s), v = e && e.getAttribute(a);"
                "if (v && !not.includes(v)) done(v); else setTimeout(look, 20); })(); })"
            )
        )

    def text(self, selector: str) -> str:
        """What is written in an element."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def choose(self, selector: str, *files: Path) -> None:
        """Give files to an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        found = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        paths = [str(path.resolve()) for path in files]
        self.call("DOM.setFileInputFiles", nodeId=found, files=paths)

    def picture(self, width: int) -> bytes:
        """The whole page in a window of a width."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


@contextmanager
def tab(profile: Path) -> Iterator[Tab]:
    """A page of a browser that lives as long as the block."""
    assert BROWSER is not None
    to_read, from_us = os.pipe()
    from_it, to_write = os.pipe()
    # the protocol's pipe is file descriptors 3 and 4 of the browser
    script = (
        f"import os, sys; r, w = os.dup({to_read}), os.dup({to_write});"
        "os.dup2(r, 103); os.dup2(w, 104); os.dup2(103, 3); os.dup2(104, 4);"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    options = ["--headless", "--disable-gpu", f"--user-data-dir={profile}"]
    command = [BROWSER, *sandbox, *options, "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script, *command],
        pass_fds=(to_read, to_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(to_write)
    with os.fdopen(from_it, "rb", 0) as reader, os.fdopen(from_us, "wb", 0) as writer:
        try:
            here = Tab(reader, writer)
            yield here
            with suppress(AssertionError, OSError):
                here.call("Browser.close")
                process.wait(20)
        finally:
            process.kill()
            process.wait()
