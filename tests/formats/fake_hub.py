"""A Hugging Face hub on this machine, as far as pushing and pulling a model asks for one."""

import base64
import json
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_jo"  # whoever has it is called jo


class Hub(BaseHTTPRequestHandler):
    """Repositories are dicts of files; `repositories` and the rest are the server's."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status=200, content=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def say(self, found, status=200, **headers):
        self.answer(status, json.dumps(found).encode(), Content_Type="application/json", **headers)

    def refuse(self, status, code):
        self.say({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @property
    def may_write(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def do_POST(self):
        self.server.asked.append(("POST", self.path))
        content = self.body()
        parts = urlsplit(self.path).path.strip("/").split("/")
        if self.path == "/api/validate-yaml":
            self.server.cards.append(json.loads(content)["content"])
            return self.say({"warnings": [], "errors": []})
        if not self.may_write:
            return self.refuse(401, "Unauthorized")
        if self.path == "/api/repos/create":
            asked = json.loads(content)
            name = f"{asked.get('organization') or 'jo'}/{asked['name']}"
            if name.startswith("others/"):
                return self.refuse(403, "Forbidden")
            if name in self.server.repositories:
                return self.say({"url": f"{self.server.address}/{name}"}, 409)
            self.server.repositories[name] = {".gitattributes": b"*.bin\n"}
            self.server.made[name] = asked
            return self.say({"url": f"{self.server.address}/{name}", "name": name, "id": name})
        name, what = "/".join(parts[2:4]), parts[4]
        if what == "preupload":
            files = [one["path"] for one in json.loads(content)["files"]]
            return self.say(
                {
                    "files": [
                        {"path": one, "uploadMode": "regular", "shouldIgnore": False}
                        for one in files
                    ]
                }
            )
        for line in content.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                value = entry["value"]
                self.server.repositories[name][value["path"]] = base64.b64decode(value["content"])
        commit = {"commitUrl": f"{self.server.address}/{name}/commit/1", "commitOid": "1" * 40}
        return self.say(commit)

    def do_GET(self):
        self.server.asked.append((self.command, self.path))
        parts = [unquote(one) for one in urlsplit(self.path).path.strip("/").split("/")]
        is_about = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if is_about else parts[:2])
        files = self.server.repositories.get(name)
        if files is None or (name in self.server.hidden and not self.may_write):
            return self.refuse(401, "RepoNotFound")
        if name in self.server.broken:
            return self.refuse(503, "Down")
        if is_about:
            sizes = {one: len(content) for one, content in files.items()} | self.server.lies
            siblings = [{"rfilename": one, "size": sizes[one]} for one in files]
            return self.say({"id": name, "modelId": name, "sha": "a" * 40, "siblings": siblings})
        content = files["/".join(parts[4:])]
        tag = sha1(content, usedforsecurity=False).hexdigest()
        return self.answer(200, content, ETag=f'"{tag}"', X_Repo_Commit="a" * 40)

    do_HEAD = do_GET  # noqa: N815


@contextmanager
def fake_hub():
    """The server, with its `address`, `repositories`, and what it was `asked`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.repositories, server.made, server.lies = {}, {}, {}
    server.asked, server.cards = [], []
    server.hidden, server.broken = set(), set()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
