"""A way to a service over HTTP that is cut at a chosen point: before a request is passed on, or after it was and before it is answered."""

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.server.is_the_one():
            return self.cut()
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if self.server.is_the_one():
            return self.cut()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    do_GET = do_PUT = do_DELETE = do_POST

    def cut(self) -> None:
        self.close_connection = True
        self.server.when_cut()

    def log_message(self, *_: object) -> None:
        pass


class Way(ThreadingHTTPServer):
    """`with Way(url) as way:` passes on what comes to `way.url`; `way.points` counts two for each request."""

    daemon_threads = True

    def __init__(self, url: str):
        super().__init__(("127.0.0.1", 0), Handler)
        there = urlsplit(url)
        self.upstream = (there.hostname, there.port)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self.let_through()

    def let_through(self) -> None:
        self.cut_at(-1, lambda: None)

    def cut_at(self, point: int, when_cut: Callable[[], None]) -> None:
        """From here on points are counted anew; at this one, it is cut."""
        with self.lock:
            self.points, self.point, self.when_cut, self.was_cut = 0, point, when_cut, False

    def is_the_one(self) -> bool:
        with self.lock:
            at, self.points = self.points, self.points + 1
            # Who is dead asks nothing more; what was under way is not answered either.
            self.was_cut = self.was_cut or at == self.point
            return self.was_cut

    def __enter__(self) -> "Way":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
