"""A stand-in for the Hugging Face hub, without Xet: repositories in memory, over HTTP."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

NAME = r'([\w.-]+/[\w.-]+)'


class Refusal(Exception):
    """A status and a code, by which huggingface_hub chooses its exception."""


class Hub:
    """The repositories, and what goes wrong."""

    def __init__(self) -> None:
        # Repository to branch to its commits, oldest first; commit to file name to content.
        self.repos: dict[str, dict[str, list[str]]] = {}
        self.trees: dict[str, dict[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        # The answer to every request; file name to the bytes after which its download breaks off.
        self.refuse: Refusal | None = None
        self.cut: dict[str, int] = {}

    def commit(self, name: str, revision: str = 'main') -> str:
        """Return the newest commit of a branch, or the commit itself."""
        if name not in self.repos:
            raise Refusal(401, 'RepoNotFound')
        for branch, commits in self.repos[name].items():
            if revision == branch or revision in commits:
                return commits[-1] if revision == branch else revision
        raise Refusal(404, 'RevisionNotFound')

    def add(self, name: str, branch: str, tree: dict[str, bytes]) -> str:
        """Put files on a branch as its newest commit; return the commit."""
        sha = hashlib.sha1(f'{name} {len(self.trees)}'.encode()).hexdigest()
        self.trees[sha] = tree
        self.repos[name].setdefault(branch, []).append(sha)
        return sha

    def answer(self, request: str, body: bytes, address: str) -> Any:
        """Answer all requests but those for a file."""

        def asks(pattern: str) -> list[str]:
            found = re.fullmatch(pattern, request)
            return [*found.groups(), ''] if found else []

        if asks('POST /api/repos/create'):
            name = '{organization}/{name}'.format(**json.loads(body))
            if name not in self.repos:
                self.repos[name] = {}
                self.add(name, 'main', {})
            return dict(url=f'{address}/{name}')
        if asks('POST /api/validate-yaml'):
            return dict(errors=[], warnings=[])
        if found := asks(f'POST /api/models/{NAME}/branch/(.+)'):
            self.repos[found[0]].setdefault(found[1], [self.commit(found[0])])
            return {}
        if found := asks(f'POST /api/models/{NAME}/preupload/(.+)'):
            self.commit(*found[:2])
            return dict(files=[_mode(file['path']) for file in json.loads(body)['files']])
        if asks(f'POST /{NAME}.git/info/lfs/objects/batch'):
            objects = json.loads(body)['objects']
            for item in objects:
                item['actions'] = dict(upload=dict(href=f'{address}/lfs/{item["oid"]}'))
            return dict(transfer='basic', objects=objects)
        if found := asks(r'PUT /lfs/(\w+)'):
            self.blobs[found[0]] = body
            return {}
        if found := asks(f'POST /api/models/{NAME}/commit/(.+)'):
            sha = self._write(*found[:2], body)
            return dict(success=True, commitOid=sha, commitUrl=f'{address}/{found[0]}/commit/{sha}')
        if found := asks(f'GET /api/models/{NAME}/tree/(.+)'):
            tree = self.trees[self.commit(*found[:2])].items()
            return [dict(type='file', path=k, size=len(v), oid='0' * 40) for k, v in tree]
        if found := asks(f'GET /api/models/{NAME}/revision/(.+)'):
            return dict(id=found[0], sha=self.commit(*found[:2]))
        raise Refusal(404, '')

    def _write(self, name: str, branch: str, body: bytes) -> str:
        tree = dict(self.trees[self.commit(name, branch)])
        for line in map(json.loads, body.splitlines()):
            value = line['value']
            if line['key'] == 'file':
                tree[value['path']] = base64.b64decode(value['content'])
            elif line['key'] == 'lfsFile':
                tree[value['path']] = self.blobs[value['oid']]
            elif line['key'] == 'deletedFile':
                del tree[value['path']]
        return self.add(name, branch, tree)


def _mode(path: str) -> dict[str, Any]:
    mode = 'lfs' if path.endswith('.safetensors') else 'regular'
    return dict(path=path, uploadMode=mode, shouldIgnore=False)


class Handler(BaseHTTPRequestHandler):
    """Send the answers of :attr:`hub`, which a derived class sets."""

    hub: Hub
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args: Any) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        """Answer a request of any kind."""
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        path, headers, status = unquote(urlparse(self.path).path), {}, 200
        try:
            if self.hub.refuse:
                raise self.hub.refuse
            if found := re.fullmatch(f'/{NAME}/resolve/([^/]+)/(.+)', path):
                content, headers = self._file(*found.groups())
            else:
                where = f'http://{self.headers["Host"]}'
                answer = self.hub.answer(f'{self.command} {path}', body, where)
                content = json.dumps(answer).encode()
        except Refusal as error:
            status, code = error.args
            content, headers = b'{}', {'X-Error-Code': code}
        self.send_response(status)
        for key, value in ({'Content-Length': str(len(content))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST

    def _file(self, name: str, revision: str, path: str) -> tuple[bytes, dict[str, str]]:
        sha = self.hub.commit(name, revision)
        if path not in self.hub.trees[sha]:
            raise Refusal(404, 'EntryNotFound')
        content = self.hub.trees[sha][path]
        headers = {'X-Repo-Commit': sha, 'Content-Length': str(len(content))}
        headers['ETag'] = f'"{hashlib.sha256(content).hexdigest()}"'
        if self.command == 'GET' and path in self.hub.cut:
            self.close_connection, content = True, content[: self.hub.cut[path]]
        return content, headers


@contextmanager
def serve() -> Iterator[tuple[Hub, str]]:
    """Serve an empty hub; yield it and its address."""
    hub = Hub()
    handler = type('HandlerOfHub', (Handler,), dict(hub=hub))
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub, f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()
