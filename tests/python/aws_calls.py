"""What functions ask of AWS while they run: every request that reaches moto, and every connection to the database, by the function
that makes it. A function has an access key of its own, which is its name, and a port of its own that leads to the database."""

import io
import json
import re
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import parse_qs

import botocore.session
from moto.server import ThreadedMotoServer

CONNECT = "rds-db:connect"
SIGNED_BY = re.compile(r"Credential=([^/]+)/\d{8}/[^/]+/([^/]+)/aws4_request")
SEND_PATH = "/v2/email/outbound-emails"
SNS_VERSION = b"2010-03-31"
RDS_VERSION = b"2014-10-31"
# How requests name these services, and how policies do.
TARGETS = {"secretsmanager": "secretsmanager", "TrentService": "kms", "DynamoDB_20120810": "dynamodb"}
# Requests to S3 do not say their operation; its name is in the code all the same.
IN_CODE = {**TARGETS, "S3": "s3"}
# Operations of S3 that policies call otherwise.
OF_S3 = {"ListObjectsV2": "ListBucket"}
# For directory buckets of S3 Express alone, which we have not: it is in every client of S3. And a parameter of CopyDBSnapshot that is
# called as an operation is.
UNUSED = {"s3:CreateSession", "rds:CopyOptionGroup"}
# The keys that the deployment makes itself: policies know them by their tags.
ANY_KEY = "key/*"


def actions_of(service: str, method: str, path: str, target: str, body: bytes) -> set[str]:
    """What a role has to allow for a request, as policies say it, and for what: a secret, a key, a topic, by its ARN."""
    operation = target.rpartition(".")[2]
    if service == "secretsmanager":
        return {f"secretsmanager:{operation} {json.loads(body).get('SecretId', '')}"}
    if service == "dynamodb":
        asked = json.loads(body)
        return {f"dynamodb:{operation} {table}" for table in asked.get("RequestItems", [asked.get("TableName", "")])}
    if service == "kms":
        # A key that is made with tags.
        tagging = {f"kms:TagResource {ANY_KEY}"} if operation == "CreateKey" and json.loads(body).get("Tags") else set()
        return {f"kms:{operation} {json.loads(body).get('KeyId', '')}".rstrip()} | tagging
    if service == "sns":
        # A protocol of its own: the operation is in the form.
        form = parse_qs(body.decode())
        return {f"sns:{form['Action'][0]} {form['TopicArn'][0]}"}
    if service == "rds":
        return {f"rds:{parse_qs(body.decode())['Action'][0]}"}
    if (service, method, path) == ("ses", "POST", SEND_PATH):
        # SES asks for this one when a mail comes as it is to be sent, whichever operation it comes by.
        return {"ses:SendRawEmail" if "Raw" in json.loads(body)["Content"] else "ses:SendEmail"}
    if service == "s3":
        # A bucket is listed by its own path.
        return {{"PUT": "s3:PutObject", "GET": "s3:GetObject" if path.count("/") > 1 and not path.endswith("/") else "s3:ListBucket"}[method]}
    return {f"{service}:{operation or f'{method} {path}'}"}


def actions_of_s3(environ: dict) -> set[str]:
    """The same for a request to S3: a bucket, or what is in a folder of it."""
    method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
    bucket, _, name = environ["PATH_INFO"].strip("/").partition("/")
    objects = f"{bucket}/{name.partition('/')[0]}/*"
    if method == "PUT":
        locked = {f"s3:PutObjectRetention {objects}"} if "HTTP_X_AMZ_OBJECT_LOCK_MODE" in environ else set()
        return {f"s3:PutObject {objects}"} | locked
    return {f"s3:ListBucket {bucket}" if "list-type=2" in query else f"s3:{method.title()}Object {objects}"}


def linked(binary: Path) -> set[str]:
    """The actions whose requests a binary can make: the linker leaves out what nothing calls, and with it the name that the
    request would say."""
    content = binary.read_bytes()
    found = set()
    for target, service in IN_CODE.items():
        operations = sorted(botocore.session.get_session().get_service_model(service).operation_names, key=len, reverse=True)
        for name in re.findall(rb"%b\.([A-Z]\w+)" % target.encode(), content):
            # Texts are stored one after the other, so another one may begin where this one ends.
            named = next((operation for operation in operations if name.startswith(operation.encode())), name.decode())
            found.add(f"{service}:{OF_S3.get(named, named)}")
    # SNS's protocol says its version with each operation, and the operation as a word of which there are many.
    if SNS_VERSION in content:
        found.add("sns:Publish")
    if RDS_VERSION in content:
        operations = botocore.session.get_session().get_service_model("rds").operation_names
        found |= {f"rds:{operation}" for operation in operations if operation.encode() in content}
    paths = {path.decode() for path in re.findall(rb"/v2/email/[a-z/-]+", content)}
    found -= UNUSED
    return found | {"ses:SendRawEmail" if path.startswith(SEND_PATH) else f"ses:{path}" for path in paths}


class Line:
    """A port that leads to the database, and says so of each connection."""

    def __init__(self, host: str, port: int, connected: Callable[[], None]):
        self.target = (host, port)
        self.connected = connected
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            self.connected()
            there = socket.create_connection(self.target)
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            one.close()
            other.close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Calls:
    """The actions of each function, by its name."""

    def __init__(self, moto: ThreadedMotoServer):
        self.of: dict[str, set[str]] = defaultdict(set)
        self.lines: dict[str, Line] = {}
        # By the server's own application: moto has no place to ask for this.
        self.served = moto._server.app
        moto._server.app = self.serve

    def serve(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        signed = SIGNED_BY.search(environ.get("HTTP_AUTHORIZATION", ""))
        # Others ask too: the test itself.
        if signed and signed[1] in self.lines:
            function, service = signed.groups()
            target = environ.get("HTTP_X_AMZ_TARGET", "")
            asked = environ["REQUEST_METHOD"], environ["PATH_INFO"], target, body
            self.of[function] |= actions_of_s3(environ) if service == "s3" else actions_of(service, *asked)
        return self.served(environ, start_response)

    def environment(self, function: str, given: dict[str, str]) -> dict[str, str]:
        """What a function is given, so that its calls are known to be its own."""
        if function not in self.lines:
            self.lines[function] = Line(given["DB_HOST"], int(given["DB_PORT"]), lambda: self.of[function].add(CONNECT))
        return {**given, "AWS_ACCESS_KEY_ID": function, "DB_PORT": str(self.lines[function].port)}

    def close(self) -> None:
        for line in self.lines.values():
            line.close()
