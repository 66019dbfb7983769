"""A service without any metric: only the proxy in front of it counts its requests."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        failed = self.path == "/fail"
        if not failed:
            time.sleep(0.12)
        self.send_response(500 if failed else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
