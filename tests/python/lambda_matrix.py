"""The authorization matrix through the Lambda runtime: the same calls as over HTTP, each turned into the event that API
Gateway makes of it and given to the function's own binary.

The test that makes the calls is `everybody_may_call_what_the_matrix_says` in tests/e2e/rest_matrix.rs; here is what it speaks
to. It says with each request which copy of the demo world it means.
"""

import base64
import os
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import yaml
from instance import ROOT
from lambda_test import BINARIES, JHE
from lambda_world import World
from runtime_api import FunctionProcess

TEST = "everybody_may_call_what_the_matrix_says"


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, whose values nobody here needs."""


Template.add_multi_constructor("!", lambda loader, suffix, node: None)


def routes() -> list[tuple[str, list[str], str, str]]:
    """Method, segments, declared path and function of each route. A segment that is named comes before a variable."""
    found = []
    template = yaml.load((ROOT / "template.yaml").read_text(), Template)
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        function = resource["Properties"]["CodeUri"].rsplit("/", 1)[1]
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] == "HttpApi":
                method, path = event["Properties"]["Method"], event["Properties"]["Path"]
                found.append((method, path.split("/"), path, function))
    return sorted(found, key=lambda route: [segment.startswith("{") for segment in route[1]])


class Gateway(BaseHTTPRequestHandler):
    """API Gateway in small."""

    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        segments = path.split("/")
        for method, wanted, declared, function in self.server.routes:
            if method == self.command and len(wanted) == len(segments):
                pairs = list(zip(wanted, segments, strict=True))
                if all(one.startswith("{") or one == other for one, other in pairs):
                    variables = {one.strip("{}"): unquote(other) for one, other in pairs if one.startswith("{")}
                    return self.invoke(function, f"{method} {declared}", path, query, variables, body)
        return self.answer(404, {}, b'{"message":"Not Found"}')

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def invoke(self, function: str, route: str, path: str, query: str, variables: dict[str, str], body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        world = headers.pop("x-test-database"), headers.pop("x-test-site")
        http = {"method": self.command, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.17", "userAgent": ""}
        event = {
            "version": "2.0",
            "routeKey": route,
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "pathParameters": variables,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "a1b2c3d4e5",
                "domainName": "jhe.example",
                "domainPrefix": "jhe",
                "http": http,
                "requestId": uuid.uuid4().hex,
                "routeKey": route,
                "stage": "$default",
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
                "timeEpoch": int(time.time() * 1000),
            },
            "isBase64Encoded": bool(body),
        }
        if variables == {}:
            del event["pathParameters"]
        if body:
            event["body"] = base64.b64encode(body).decode()
        answer = self.server.functions.invoke(function, world, event)
        text = answer.get("body") or ""
        payload = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        many = answer.get("multiValueHeaders") or {}
        merged = {**answer.get("headers", {}), **{name: ", ".join(values) for name, values in many.items()}}
        self.answer(answer["statusCode"], merged, payload)

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Functions:
    """The functions of each world, started when they are first called, one call at a time."""

    def __init__(self, world: World, environment: dict[str, str]):
        self.world = world
        self.environment = environment
        self.has_vault = False
        self.lock = threading.Lock()
        self.running: dict[tuple[str, tuple[str, str]], tuple[FunctionProcess, threading.Lock]] = {}

    def invoke(self, function: str, world: tuple[str, str], event: dict) -> dict:
        with self.lock:
            if not self.has_vault:
                # All worlds are copies of one, which is there when the first is called.
                self.world.take_vault(Path(os.environ["JHE_SCRATCH"], "secrets-of-tests"))
                self.has_vault = True
            if (function, world) not in self.running:
                database, site = world
                environment = {**self.environment, "DB_NAME": database, "SITE_URL": site}
                self.running[function, world] = FunctionProcess(BINARIES / function, environment), threading.Lock()
            process, turn = self.running[function, world]
        with turn:
            return process.invoke(event)

    def close(self) -> None:
        for process, _ in self.running.values():
            process.__exit__()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, functions: Functions):
        super().__init__(("127.0.0.1", 0), Gateway)
        self.functions = functions
        self.routes = routes()


def main() -> int:
    if "JHE_SCRATCH" not in os.environ:
        return subprocess.run([JHE, "with-database", sys.executable, *sys.argv]).returncode
    world = World("lambda_matrix")
    # As over HTTP: without single sign-on.
    settings = {name: value for name, value in world.by_secret.items() if not name.startswith(("SAML_", "SSO_"))}
    functions = Functions(world, settings)
    with FunctionProcess(BINARIES / "oauth-rotate-keys", settings) as rotation:
        rotation.invoke({})
    server = Server(functions)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {**os.environ, "E2E_GATEWAY": f"http://127.0.0.1:{server.server_port}"}
    try:
        command = [os.environ.get("CARGO", "cargo"), "test", "--quiet", "--workspace", "--test", "e2e", "--", TEST]
        code = subprocess.run(command, cwd=ROOT, env=environment).returncode
    finally:
        server.shutdown()
        functions.close()
        world.close()
    print(f"{len(functions.running)} processes of functions were called", flush=True)
    return code or (1 if not functions.running else 0)


if __name__ == "__main__":
    sys.exit(main())
