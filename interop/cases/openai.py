"""A run's model answers OpenAI's client, curl and PyTorch, while it is trained and at rest.

The client comes from PyPI in seconds. PyTorch does not: its wheel for Linux brings 5 GB of CUDA along,
so no case installs it. One that needs it takes the interpreter that SHOAL_PYTORCH names, or the one that
runs this, and is skipped, saying so, where neither has torch.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import time

from parts import foreign
from parts.bench import PLACE, TOP, Skipped, check, until
from parts.node import Node, loopback, tail, write_spec

VENV = os.path.join(PLACE, "openai")
REQUIREMENTS = os.path.join(TOP, "interop", "py", "openai.txt")
CLIENT = os.path.join(TOP, "interop", "py", "openai_client.py")
LOADER = os.path.join(TOP, "examples", "load_export.py")
PIP_PATIENCE = 120.0
CLIENT_PATIENCE = 180.0
TORCH_PATIENCE = 120.0

# What a prediction may take over loopback, and how many are measured.
P50_WITHIN_MS = 3.0
PREDICTIONS = 2000
# After so many the likeliest text is no row of one letter.
ROUNDS_OF_TEXT = 40
# Logits of PyTorch and of ours.
LOGITS_WITHIN = 1e-4

PLAY = """version = 1
name = "play"
seed = 3
[round]
steps = 10
period_ms = 1000
peers = 8
[task]
kind = "language"
context = 64
vocabulary = {vocabulary}
batch = 16
model = {{ kind = "gpt", layers = 2, width = 32, heads = 4 }}
optimizer = {{ kind = "adamw", rate = 0.003, beta2 = 0.99 }}
"""
# All characters of the play, the space first.
VOCABULARY = " etoasnhir\nld*um,ywfcgpbATIE.vLkO'HRNSUM;:D_CWG?-!PBFxKqYjQ#Zz\\[]V&J"


class Server:
    """A node that is ready to answer."""

    def __init__(self, bench, specs, data):
        args = [word for spec in specs for word in ("--run", spec)]
        self.node = Node(bench, "node", [*args, "--listen", loopback()[0], "--mdns", "false", "--upnp", "false", "--data", data])
        self.node.start()
        until("an address", lambda: os.path.exists(os.path.join(self.node.dir, "api.addr")))
        self.address, self.token = self.read("api.addr"), self.read("api.token")
        until("weights", lambda: self.get("/readyz")[0] == 200)

    def read(self, name):
        with open(os.path.join(self.node.dir, name), encoding="ascii") as file:
            return file.read().strip()

    def get(self, path):
        connection = http.client.HTTPConnection(self.address, timeout=20)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def install_client():
    done = os.path.join(VENV, "installed.txt")
    if not os.path.exists(done) or foreign.read(done) != foreign.read(REQUIREMENTS):
        foreign.run([sys.executable, "-m", "venv", VENV], TOP, PIP_PATIENCE, "python3 -m venv")
        pip = [os.path.join(VENV, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]
        foreign.run(pip, TOP, PIP_PATIENCE, "pip install")
        shutil.copy(REQUIREMENTS, done)
    return os.path.join(VENV, "bin", "python")


def play(bench):
    # TOML's basic strings are JSON's, for these characters.
    return bench.write("play.toml", PLAY.format(vocabulary=json.dumps(VOCABULARY)))


def openai_client(bench):
    """OpenAI's Python client lists, completes, talks, streams and is refused as by OpenAI"""
    python = install_client()
    server = Server(bench, [play(bench)], "hamlet")
    done = subprocess.run(
        [python, CLIENT, server.address, server.token, "play"], capture_output=True, text=True, timeout=CLIENT_PATIENCE, check=False
    )
    check(done.returncode == 0, tail(done.stderr))
    said = json.loads(done.stdout.splitlines()[-1])
    server.node.trains_on(2, 0)
    bench.note(f"openai {said['version']}; of a crowd {said['crowd']}")


def curl_asks(bench):
    """curl gets a prediction, the document and the page; strangers and pages get nothing"""
    if shutil.which("curl") is None:
        raise Skipped("curl is not installed")
    server = Server(bench, [write_spec(bench)], "digits")

    def curl(path, *more, token=server.token):
        head = ["-H", f"Authorization: Bearer {token}"] if token else []
        command = ["curl", "--silent", "--show-error", "--no-buffer", "--noproxy", "*", "--write-out", "\n%{http_code}", *head, *more]
        done = subprocess.run([*command, f"http://{server.address}{path}"], capture_output=True, text=True, timeout=20, check=True)
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), body

    question = json.dumps({"inputs": [0.5] * 64})
    status, body = curl("/v1/predict", "--json", question)
    answer = json.loads(body)
    check(status == 200 and len(answer["predictions"][0]["probabilities"]) == 10, body)
    check(abs(sum(answer["predictions"][0]["probabilities"]) - 1) < 1e-5, body)
    status, body = curl("/v1/predict", "--json", question, token=None)
    check(status == 401 and json.loads(body)["error"]["code"] == "invalid_api_key", body)
    status, body = curl("/v1/predict", "--json", question, "-H", "Host: evil.example")
    check(status == 421, body)
    status, body = curl("/v1/predict", "--json", question, "-H", "Origin: https://evil.example")
    check(status == 403, body)
    status, body = curl("/openapi.json", token=None)
    check(status == 200 and "/v1/chat/completions" in json.loads(body)["paths"], body)
    status, body = curl("/docs", token=None)
    check(status == 200 and body.startswith("<!doctype html>") and "<script" not in body, body)
    check(curl("/healthz", token=None) == (200, "ok\n") and curl("/readyz", token=None) == (200, "ok\n"), "health")


def predictions_are_quick(bench):
    """a prediction of the digits MLP takes less than 3 ms over loopback, while the node trains"""
    server = Server(bench, [write_spec(bench)], "digits")
    connection = http.client.HTTPConnection(server.address, timeout=20)
    question, head = json.dumps({"inputs": [0.5] * 64}), {"Authorization": f"Bearer {server.token}"}
    times, rounds = [], set()
    for _ in range(PREDICTIONS):
        begun = time.perf_counter()
        connection.request("POST", "/v1/predict", question, head)
        answer = connection.getresponse()
        body = answer.read()
        times.append(1000 * (time.perf_counter() - begun))
        check(answer.status == 200, body)
        rounds.add(json.loads(body)["round"])
    times.sort()
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    check(p50 <= P50_WITHIN_MS, f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    server.node.trains_on(2, 0)
    bench.note(f"p50 {p50:.2f} ms, p99 {p99:.2f} ms of {PREDICTIONS}, by {len(rounds)} sets of weights")


def torch():
    """An interpreter with PyTorch."""
    for python in (os.environ.get("SHOAL_PYTORCH"), sys.executable):
        if python and subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 0:
            return python
    raise Skipped("no interpreter with PyTorch; name one as SHOAL_PYTORCH=/path/to/python")


def loaded(bench, python, node, inputs, more):
    """The logits of PyTorch and of ours, row by row, of a node at rest."""
    folder = bench.path("exported")
    done = node.shoal("export", "--to", folder, "--license", "cc0-1.0", "--data-dir", node.dir)
    check(done.returncode == 0, tail(done.stderr))
    ours = node.shoal("predict", "--logits", "--data-dir", node.dir, inputs)
    check(ours.returncode == 0, tail(ours.stderr))
    theirs = subprocess.run([python, LOADER, folder, *more], capture_output=True, text=True, timeout=TORCH_PATIENCE, check=False)
    check(theirs.returncode == 0, tail(theirs.stderr))
    numbers = [[[float(word) for word in line.split()] for line in text.splitlines()] for text in (ours.stdout, theirs.stdout)]
    check(len(numbers[0]) == len(numbers[1]) > 0, f"{len(numbers[0])} and {len(numbers[1])} rows")
    apart = max(abs(a - b) for rows in zip(*numbers) for a, b in zip(*rows, strict=True))
    check(apart <= LOGITS_WITHIN, f"logits differ by {apart:g}")
    return apart


def pytorch_loads_images(bench):
    """PyTorch loads an exported classifier and finds the same logits"""
    python = torch()
    server = Server(bench, [write_spec(bench)], "digits")
    server.node.trains_on(3, 0)
    server.node.terminate()
    rows = "\n".join(",".join(str((i * j % 17) / 16) for j in range(64)) for i in range(1, 33))
    inputs = bench.write("rows.csv", rows + "\n")
    bench.note(f"logits of 32 images differ by {loaded(bench, python, server.node, inputs, [inputs]):.1g} at most")


def pytorch_loads_text(bench):
    """PyTorch loads an exported transformer and finds the same logits and the same text"""
    python = torch()
    server = Server(bench, [play(bench)], "hamlet")
    server.node.trains_on(ROUNDS_OF_TEXT, 0)
    server.node.terminate()
    prompt = "To be, or not to be: that is the question:\nWhether"
    inputs = bench.write("prompt.txt", prompt)
    apart = loaded(bench, python, server.node, inputs, ["--text", prompt])
    ours = server.node.shoal("generate", prompt, "--temperature", "0", "--max-tokens", "12", "--data-dir", server.node.dir)
    theirs = [python, LOADER, bench.path("exported"), "--text", prompt, "--continue", "12"]
    theirs = subprocess.run(theirs, capture_output=True, text=True, timeout=TORCH_PATIENCE, check=True)
    check(ours.stdout == theirs.stdout, f"{ours.stdout!r} and {theirs.stdout!r}")
    bench.note(f"logits differ by {apart:.1g} at most; both go on with {ours.stdout.rstrip()!r}")


CASES = [openai_client, curl_asks, predictions_are_quick, pytorch_loads_images, pytorch_loads_text]
