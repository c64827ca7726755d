"""Peers of other implementations: js-libp2p from npm, py-libp2p from PyPI.

Their packages go below target/, by the lock file; the sources are copied there, because Node looks for
packages above the file that imports them.
"""

import json
import os
import shutil
import subprocess
import sys

from .bench import PATIENCE, PLACE, TOP, Failed, Skipped, until
from .node import tail

JS, PY = os.path.join(PLACE, "js"), os.path.join(PLACE, "py")
NODE_MAJOR = 20
# npm takes ten seconds with an empty cache; beyond this the registry is not to be reached.
NPM_PATIENCE = 180.0
# The second opinion is worth this long and no longer.
PIP_PATIENCE = 60.0


def install_js():
    """Makes JS ready, once for each lock file. Skips where npm or the registry is missing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Skipped("node or npm is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if int(version.lstrip("v").split(".")[0] or 0) < NODE_MAJOR:
        raise Skipped(f"node is {version}, and js-libp2p needs {NODE_MAJOR}")
    source = os.path.join(TOP, "interop", "js")
    lock, done = os.path.join(source, "package-lock.json"), os.path.join(JS, "installed-lock.json")
    os.makedirs(JS, exist_ok=True)
    for name in os.listdir(source):
        shutil.copy(os.path.join(source, name), JS)
    if os.path.exists(done) and read(done) == read(lock):
        return
    run(["npm", "ci", "--no-audit", "--no-fund"], JS, NPM_PATIENCE, "npm ci")
    shutil.copy(lock, done)


def install_py():
    """Makes PY ready. Skips where it cannot be installed in time."""
    requirements, done = os.path.join(TOP, "interop", "py", "requirements.txt"), os.path.join(PY, "installed.txt")
    if os.path.exists(done) and read(done) == read(requirements):
        return
    run([sys.executable, "-m", "venv", PY], TOP, PIP_PATIENCE, "python3 -m venv")
    pip = os.path.join(PY, "bin", "pip")
    run([pip, "install", "--quiet", "--disable-pip-version-check", "-r", requirements], TOP, PIP_PATIENCE, "pip install")
    shutil.copy(requirements, done)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(command, folder, patience, what):
    """An installation, to its end. One that fails is no fault of this project, so it skips."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        raise Skipped(f"{what} took longer than {patience:g} s") from None
    if done.returncode != 0:
        raise Skipped(f"{what} failed: {tail(done.stderr, 2)}")


class Foreign:
    """A peer that says JSON lines. Fails the case when it says an error or ends too early."""

    def __init__(self, bench, command, name, host=None):
        inside = ["ip", "netns", "exec", host] if host else []
        self.name = name
        self.process = bench.start(inside + command, name, dict(os.environ))

    def words(self):
        """Everything it has said, as objects."""
        return [json.loads(line) for line in self.process.log().splitlines() if line.startswith("{") and line.endswith("}")]

    def said(self, key):
        """Everything it has said under this key."""
        return [word[key] for word in self.words() if key in word]

    def until(self, key, count=1, patience=PATIENCE):
        """Its first `count` words under this key."""
        def ask():
            if errors := self.said("error"):
                raise Failed(f"{self.name}: {errors[0]}")
            found = self.said(key)
            if len(found) < count and not self.process.runs():
                raise Failed(f"{self.name} ended early:\n{tail(self.process.log())}")
            return found[:count] if len(found) >= count else None
        return until(f"{self.name} to say {key}", ask, patience)

    def kill(self):
        self.process.kill()


def js(bench, script, name, *args, host=None):
    return Foreign(bench, ["node", os.path.join(JS, script), *args], name, host)


def py(bench, script, name, *args):
    return Foreign(bench, [os.path.join(PY, "bin", "python"), os.path.join(TOP, "interop", "py", script), *args], name)


def amino(bench, listens, hosts=(None, None, None), more=((), (), ())):
    """Three Kademlia servers that know each other, in the public DHT's place; one has an RSA identity,
    as five of six of its well-known peers have. Returns them and their addresses."""
    servers, addresses = [], []
    for index, (listen, host, extra) in enumerate(zip(listens, hosts, more)):
        known = [word for address in addresses for word in ("--bootstrap", address)]
        key = "rsa" if index == 0 else "ed25519"
        server = js(bench, "kad.mjs", f"kad{index}", "--listen", listen, "--key", key, *known, *extra, host=host)
        servers.append(server)
        addresses.append(server.until("ready")[0][0])
    return servers, addresses
