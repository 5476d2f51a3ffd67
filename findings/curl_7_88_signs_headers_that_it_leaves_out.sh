#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# curl 7.88.1 (Debian 12). Needs curl and Python.
#
# A header that curl is told to leave out ("Expect:", with nothing behind the colon) is not sent,
# and is signed all the same: with --aws-sigv4 the server gets SignedHeaders=expect;host;..., has no
# such header, computes another signature, and answers 403 SignatureDoesNotMatch. The usual way to
# keep curl from waiting for "100 Continue" breaks uploads to S3 by it; a short --expect100-timeout
# (CURLOPT_EXPECT_100_TIMEOUT_MS) does not.
#
# Later ones pass over such a header. Source: lib/http_aws_sigv4.c, make_headers().
set -eu
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cat >"$folder/server.py" <<'SOURCE'
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        names = self.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0]
        lost = [name for name in names.split(";") if name not in self.headers]
        print("signed and not sent:", *lost or ["nothing"], flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1], "w", encoding="ascii") as file:
    print(server.server_port, file=file)
server.serve_forever()
SOURCE
python3 "$folder/server.py" "$folder/port" >"$folder/said" &
server=$!
while [ ! -s "$folder/port" ]; do sleep 0.1; done
ask() {
    curl --silent --user key:secret --aws-sigv4 aws:amz:us-east-1:s3 "$@" \
        "http://127.0.0.1:$(cat "$folder/port")/bucket"
}
ask
ask --header "Expect:"
curl --version | head -1
cat "$folder/said"
