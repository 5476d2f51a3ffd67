#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command beside an S3 server: moto's, with what moto does not look at in front of it.

Usage: s3_server.py COMMAND [ARGUMENT...]

Each request's signature is computed again with botocore, each checksum with another CRC-32C, and
what differs is refused as S3 does. The command finds the server at $CKPT_TIER_S3 and writes the
name of a fault to the file $CKPT_TIER_S3_FAULT:

    slow      all requests: 503 SlowDown
    some      each third request: 503 SlowDown, or the connection ends
    flip      one bit of each fourth body that has a checksum
    cut       half of the bytes of each third answer to a GET, then the connection ends
    full      all PUTs: 507
    young     uploads were begun now; moto has all of them begun in 2010

Exits as the command does; 77 where Python lacks a package.
"""
import base64
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import parse_qsl

try:
    import google_crc32c
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from moto.s3.models import s3_backends
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server
except ImportError as error:
    own = os.path.join(os.path.dirname(__file__), "../../../build/venv-s3")
    if os.path.exists(own) and os.path.realpath(sys.prefix) != os.path.realpath(own):
        own = os.path.join(own, "bin/python")
        os.execv(own, [own, *sys.argv])
    print(f"s3: Python lacks {error.name}: scripts/layered_env.sh s3")
    sys.exit(77)

KEY, SECRET, BUCKET = "AKIATESTTESTTESTTEST", "a/secret+of=tests", "tier"


class Front:
    """What S3 refuses before it looks at the request itself."""

    def __init__(self, inner, fault_path):
        self.inner, self.fault_path = inner, fault_path
        self.lock, self.requests = threading.Lock(), 0

    def fault(self):
        with open(self.fault_path, encoding="ascii") as file:
            fault = file.read().strip()
        with self.lock:
            self.requests += 1
            return fault, self.requests

    @staticmethod
    def signature(environ, body):
        """What the Authorization of these headers must be; None where there is none."""
        given = environ.get("HTTP_AUTHORIZATION", "")
        fields = dict(f.strip().split("=", 1) for f in given.partition(" ")[2].split(",") if f)
        if "SignedHeaders" not in fields:
            return given, None
        names = fields["SignedHeaders"].split(";")
        headers = {}
        for name in names:
            key = name.upper().replace("-", "_")
            headers[name] = environ.get("HTTP_" + key, environ.get(key, ""))
        url = f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}"
        request = AWSRequest(environ["REQUEST_METHOD"], url, headers=headers, data=body,
                             params=dict(parse_qsl(environ.get("QUERY_STRING", ""),
                                                   keep_blank_values=True)))
        request.context["timestamp"] = environ.get("HTTP_X_AMZ_DATE", "")
        region = fields["Credential"].split("/")[2]
        auth = S3SigV4Auth(Credentials(KEY, SECRET), "s3", region)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return fields["Signature"], auth.signature(text, request)

    @staticmethod
    def refuse(start, status, code):
        start(status, [("Content-Type", "application/xml"), ("Connection", "close")])
        return [f"<Error><Code>{code}</Code><Message>as the test wants</Message></Error>".encode()]

    def __call__(self, environ, start):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        fault, number = self.fault()
        given, wanted = self.signature(environ, body)
        sum_wanted = environ.get("HTTP_X_AMZ_CHECKSUM_CRC32C")
        method = environ["REQUEST_METHOD"]
        if wanted is None or given != wanted:
            return self.refuse(start, "403 Forbidden", "SignatureDoesNotMatch")
        if fault == "slow" or (fault == "some" and number % 6 == 0):
            return self.refuse(start, "503 Slow Down", "SlowDown")
        if fault == "some" and number % 6 == 3:
            raise ConnectionAbortedError
        if fault == "full" and method == "PUT":
            return self.refuse(start, "507 Insufficient Storage", "XMinioStorageFull")
        if sum_wanted is not None:
            if fault == "flip" and number % 4 == 0 and body:
                body = body[:-1] + bytes([body[-1] ^ 1])
            found = base64.b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode()
            if found != sum_wanted:
                return self.refuse(start, "400 Bad Request", "BadDigest")
        environ["wsgi.input"] = io.BytesIO(body)
        is_cut = fault == "cut" and method == "GET" and number % 3 == 0

        def begin(status, headers, info=None):
            return start(status, headers + [("Connection", "close")] * is_cut, info)

        answer = b"".join(self.inner(environ, begin))
        if fault == "young":
            answer = re.sub(rb"<Initiated>[^<]*", time.strftime(
                "<Initiated>%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()).encode(), answer)
        return [answer[:len(answer) // 2] if is_cut and len(answer) > 1 else answer]


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, kind, message, *arguments):
        pass


def main():
    with tempfile.TemporaryDirectory() as folder:
        fault = os.path.join(folder, "fault")
        with open(fault, "w", encoding="ascii"):
            pass
        app = DomainDispatcherApplication(create_backend_app)
        server = make_server("127.0.0.1", 0, Front(app, fault), threaded=True,
                             request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = dict(os.environ, CKPT_TIER_S3=f"http://127.0.0.1:{server.server_port}",
                           CKPT_TIER_S3_FAULT=fault, AWS_ACCESS_KEY_ID=KEY,
                           AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="eu-north-1")
        environment.pop("AWS_SESSION_TOKEN", None)
        s3_backends["123456789012"]["aws"].create_bucket(BUCKET, "eu-north-1")
        status = subprocess.run(sys.argv[1:], env=environment, check=False).returncode
        server.shutdown()
    return status


if __name__ == "__main__":
    sys.exit(main())
