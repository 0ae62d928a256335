"""AWS as moto plays it, where KMS signs digests. As a program: serves on a free port, prints it, ends when its input does."""

import logging
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from moto.kms.utils import RSAPrivateKey
from moto.server import ThreadedMotoServer


def sign_digest(self: RSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
    """What KMS does for `MessageType` DIGEST, which moto takes for RAW. The only algorithm and type that functions use."""
    if signing_algorithm != "RSASSA_PKCS1_V1_5_SHA_256" or len(message) != 32:
        raise ValueError(f"not a SHA-256 digest to sign: {signing_algorithm}, {len(message)} bytes")
    return self.private_key.sign(message, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def start() -> ThreadedMotoServer:
    """A server on a free port."""
    RSAPrivateKey.sign = sign_digest
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    return server


if __name__ == "__main__":
    print(start().get_host_and_port()[1], flush=True)
    sys.stdin.read()
