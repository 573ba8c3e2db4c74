"""A web server on Python's own http.server: http-echo.py PORT. Answers, and prints, what it was asked: as JSON."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        body = self.read_body()
        if body is None:
            self.close_connection = True
            return
        asked = {
            "port": self.client_address[1],
            "start": f"{self.command} {self.requestline.split(' ')[1]}",
            "body": body.decode("latin-1"),
        }
        # One write for each: the lines of several threads do not mix.
        sys.stdout.write(json.dumps(asked) + "\n")
        sys.stdout.flush()
        content = json.dumps(asked).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def read_body(self):
        """None: it was broken off."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self.read_chunks()
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def read_chunks(self):
        body = b""
        while True:
            line = self.rfile.readline()
            if not line.endswith(b"\r\n"):
                return None
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            chunk = self.rfile.read(size + 2)
            if len(chunk) < size + 2:
                return None
            body += chunk[:-2]
        while (line := self.rfile.readline()) != b"\r\n":
            if line == b"":
                return None
        return body

    def log_message(self, *_args):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_args):
        # Senders that are gone: a report would run into the lines that tell what was asked.
        pass


Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
