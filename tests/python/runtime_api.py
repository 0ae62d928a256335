"""A Lambda runtime API of our own, for one function: it hands events to the function's binary and takes the answers.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

PREFIX = "/2018-06-01/runtime/"

# What Lambda itself sets, besides the address of its API.
LAMBDA = {"AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_REGION": "eu-central-1"}


def start(binary: Path, address: str, environment: dict[str, str], output: IO | None = None) -> subprocess.Popen:
    """Starts a function's binary as Lambda does, with its runtime API at `address`. What it says goes to `output`."""
    settings = {"AWS_LAMBDA_FUNCTION_NAME": binary.name, "AWS_LAMBDA_RUNTIME_API": address, **LAMBDA}
    return subprocess.Popen([binary], env={**environment, **settings}, stdout=output, stderr=output)


def resident(process: subprocess.Popen) -> float:
    """The memory of a process in MB: what it has in RAM."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def busy(process: subprocess.Popen) -> float:
    """Milliseconds that a process had a processor."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


@dataclass
class Start:
    """A function's start, up to its first poll for an event: time passed and time on a processor in ms, memory in MB."""

    elapsed: float
    busy: float
    resident: float


def first_poll(binary: Path, environment: dict[str, str]) -> Start:
    """Starts a function, waits for its first poll, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        began = time.perf_counter()
        process = start(binary, f"127.0.0.1:{listener.getsockname()[1]}", environment)
        try:
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(4096)
                elapsed = time.perf_counter() - began
                if not request.startswith(f"GET {PREFIX}invocation/next".encode()):
                    raise RuntimeError(f"{binary.name} does not poll: {request[:80]!r}")
                return Start(elapsed * 1000, busy(process), resident(process))
        finally:
            process.kill()
            process.wait()


class Handler(BaseHTTPRequestHandler):
    """`/invocation/next` waits for an event; `/invocation/<id>/response` and `/error` take the answer."""

    protocol_version = "HTTP/1.1"
    # An answer is written in two parts: the second would wait 40 ms for the first to be acknowledged.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path != PREFIX + "invocation/next":
            return self.answer(404, b"")
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return None
        headers = {
            "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 29) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:test",
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
        }
        return self.answer(200, json.dumps(event).encode(), headers)

    def do_POST(self) -> None:
        length = self.headers.get("content-length")
        body = self.rfile.read(int(length)) if length else self.read_chunks()
        self.answer(202, b"{}")
        self.server.answers.put((self.path.rsplit("/", 1)[1], body))

    def read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Functions are ended while they wait for an event: a connection that breaks is no error."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: queue.Queue = queue.Queue()
        self.answers: queue.Queue = queue.Queue()

    def handle_error(self, *_: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*_)


class FunctionProcess:
    """One function behind a runtime API of its own: `with FunctionProcess(binary, environment) as f: f.invoke(event)`."""

    def __init__(self, binary: Path, environment: dict[str, str], output: IO | None = None):
        self.server = Server()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.process = start(binary, f"127.0.0.1:{self.server.server_port}", environment, output)

    def invoke(self, event: dict, timeout: float = 30) -> dict:
        """The function's answer to an event. An answer that reports an error of the function is one here too."""
        self.server.events.put(event)
        kind, body = self.server.answers.get(timeout=timeout)
        if kind != "response":
            raise RuntimeError(f"the function failed: {body[:300]!r}")
        return json.loads(body)

    def kill(self) -> None:
        """Ends it in the middle of what it does. Who waits for its answer is told."""
        self.process.kill()
        self.process.wait()
        self.server.answers.put(("error", b"killed"))

    def __enter__(self) -> "FunctionProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.server.events.put(None)
        self.server.shutdown()
        self.server.server_close()
