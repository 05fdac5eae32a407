"""A headless Chromium, driven over its DevTools protocol: pages, keys, and complaints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip
SECONDS = 60
LARGEST_ANSWER = 64 << 20
"""Bytes; a screenshot of a long page is larger than what the client takes by itself."""


def find_chromium() -> str | None:
    """The one that the variable CHROMIUM names, or one of the path."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """A browser of its own, with an empty profile below ``folder``; close it with ``with``."""

    def __init__(self, program: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            address = self._address(folder / "DevToolsActivePort")
            # Never by a proxy: the browser is on this machine.
            self.closing = ExitStack()
            self.socket: ClientConnection = self.closing.enter_context(
                connect(address, max_size=LARGEST_ANSWER, proxy=None, open_timeout=SECONDS,
                        close_timeout=1)  # fmt: skip
            )
        except BaseException:
            self.process.kill()
            raise
        self.count = 0
        self.events: list[dict[str, Any]] = []

    def _address(self, file: Path) -> str:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            lines = file.read_text().split() if file.is_file() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            if self.process.poll() is not None:
                raise RuntimeError(f"chromium ended with exit code {self.process.returncode}")
            time.sleep(0.05)
        raise RuntimeError(f"chromium did not open its port within {SECONDS} s")

    def send(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The answer to a command; events that come meanwhile are kept."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        self.socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self.socket.recv(timeout=SECONDS))
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        try:
            self.send("Browser.close")
            self.closing.close()
            self.process.wait(SECONDS)
        finally:
            self.process.kill()
            self.process.wait()


class Tab:
    """One page; ``requests`` and ``complaints`` of it since it was opened."""

    def __init__(self, browser: Chromium, width: int = 1280, height: int = 900) -> None:
        self.browser = browser
        self.opened = {"about:blank"}
        self.target = browser.send("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.send("Target.attachToTarget", targetId=self.target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.resize(width, height)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.send(method, self.session, **params)

    def resize(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 500)  # fmt: skip

    def close(self) -> None:
        self.browser.send("Target.closeTarget", targetId=self.target)

    def open(self, address: str) -> None:
        """Load a page, and wait until it is loaded."""
        self.opened.add(address.split("#")[0])
        # By way of an empty page: going to another hash alone would not load anything.
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """What JavaScript says, as plain values; a promise is waited for."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        end = time.monotonic() + SECONDS
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, f"never became true: {expression}"
            time.sleep(0.02)

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key, down and up: what a person without a mouse has."""
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        typed = {"text": text} if text else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **named, **typed)
        self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    def of(self, *methods: str) -> list[dict[str, Any]]:
        """Events of this page so far."""
        self.evaluate("0")
        own = (e for e in self.browser.events if e.get("sessionId") == self.session)
        return [event for event in own if event["method"] in methods]

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """What stands in the console: messages of any level, exceptions, refusals of the policy."""
        return self.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")

    @property
    def requests(self) -> set[str]:
        """What was asked for apart from the pages opened and the pictures within them."""
        found = {e["params"]["request"]["url"] for e in self.of("Network.requestWillBeSent")}
        return {url for url in found if not url.startswith("data:")} - self.opened
