"""`shoal` nodes as processes, asked only through the binary's verbs."""

import json
import os
import subprocess
import time

from .bench import PATIENCE, Failed, until

# The digits and a model that trains in milliseconds: what is watched here is the network.
SPEC = """version = 1
name = "{name}"
seed = 7
[round]
steps = {steps}
period_ms = {period_ms}
peers = {peers}
[codec]
chunk = {chunk}
[task]
kind = "classify"
inputs = [8, 8]
classes = 10
batch = 16
model = {{ kind = "mlp", hidden = [32] }}
optimizer = {{ kind = "sgd", rate = 0.05 }}
"""
# Said in the spec, because a foreign reader of bodies has to know it.
CHUNK = 1024
# Longer than any answer of a node that is well, even on a busy machine.
ASK_PATIENCE = 20.0


def write_spec(bench, name="interop", period_ms=500, steps=10, peers=8):
    text = SPEC.format(name=name, period_ms=period_ms, steps=steps, peers=peers, chunk=CHUNK)
    return bench.write(f"{name}.toml", text)


NETWORK = """name = "{name}"
scope = "{scope}"
{bootstrap}
[rendezvous]
protocol = "/ipfs/kad/1.0.0"
bootstrap = {rendezvous}
"""


def write_network(bench, name, scope, rendezvous, bootstrap=()):
    """A network's file; lists of addresses are written alike in TOML and JSON."""
    known = f"bootstrap = {json.dumps(list(bootstrap))}" if bootstrap else ""
    text = NETWORK.format(name=name, scope=scope, bootstrap=known, rendezvous=json.dumps(list(rendezvous)))
    return bench.write(f"{name}.network.toml", text)


def loopback(protocols=("tcp",)):
    """Loopback addresses with ports that the system chooses."""
    suffix = {"tcp": "tcp/0", "quic": "udp/0/quic-v1"}
    return [f"/ip4/127.0.0.1/{suffix[protocol]}" for protocol in protocols]


class Node:
    """One data directory, what it is always started with, and its process while there is one.

    `host` is a network namespace's name, or None for this machine itself.
    """

    def __init__(self, bench, name, args, host=None, verb=("run",)):
        self.bench, self.name, self.args, self.host, self.verb = bench, name, list(args), host, list(verb)
        self.dir = bench.path(name)
        self.process = None
        self.started_at = None
        if self.shoal("init", "--data-dir", self.dir).returncode != 0:
            raise Failed(f"{name}: `shoal init` failed")

    def _command(self, args):
        inside = ["ip", "netns", "exec", self.host] if self.host else []
        return inside + [self.bench.binary, *args]

    def shoal(self, *args, patience=ASK_PATIENCE):
        """A verb to its end. No home, no settings but its arguments."""
        return subprocess.run(
            self._command(args), env=ENVIRONMENT, capture_output=True, text=True, timeout=patience, check=False
        )

    def start(self, *more):
        self.process = self.bench.start(self._command([*self.verb, "--data-dir", self.dir, *self.args, *more]), self.name, ENVIRONMENT)
        self.started_at = time.monotonic()
        return self

    def ask(self, verb):
        """What `shoal VERB --json` prints, or None while it does not answer."""
        try:
            answer = self.shoal(verb, "--json", "--data-dir", self.dir)
        except subprocess.TimeoutExpired:
            return None
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def status(self):
        status = self.ask("status")
        return status if status and status["state"] != "starting" else None

    def peers(self):
        return self.ask("peers") or []

    def log(self):
        return self.process.log()

    def until(self, what, holds, patience=PATIENCE):
        """The first status of which `holds` is true."""
        def ask():
            self.must_run(what)
            status = self.status()
            return status if status and holds(status) else None
        try:
            return until(f"{self.name}: {what}", ask, patience)
        except Failed as failed:
            raise Failed(f"{failed}; last: {brief(self.status())}") from None

    def must_run(self, waiting_for):
        if not self.process.runs():
            raise Failed(f"{self.name} ended while waiting for {waiting_for}:\n{tail(self.log())}")

    def until_heard(self, peers=1, patience=PATIENCE):
        """Seconds from its start to the first mix with deltas of so many peers."""
        self.until(f"deltas of {peers}", lambda s: s["peers_heard"] >= peers, patience)
        return time.monotonic() - self.started_at

    def trains_on(self, rounds=4, peers=1, patience=PATIENCE):
        """Goes on for so many rounds, and then hears so many peers still."""
        begun = self.until("an answer", lambda _: True)["round"]
        return self.until(
            f"{rounds} rounds more with {peers} heard",
            lambda s: s["round"] >= begun + rounds and s["peers_heard"] >= peers,
            patience,
        )

    def address(self, protocol="tcp", ip=None):
        """A full address of this node, on the given IP address if there are several."""
        wanted = "/quic-v1" if protocol == "quic" else "/tcp/"
        def ask():
            self.must_run("an address")
            status = self.status() or {}
            # An address may be listed with its peer id; it is put on below.
            found = [a.split("/p2p/")[0] for a in status.get("listen", []) if wanted in a and "/p2p-circuit" not in a]
            return next((a for a in found if ip is None or f"/{ip}/" in a), None)
        return f"{until(f'{self.name} to listen', ask)}/p2p/{self.id()['peer']}"

    def ticket(self):
        """What `shoal invite` prints of the running node."""
        invited = self.shoal("invite", "--json", "--data-dir", self.dir)
        if invited.returncode != 0:
            raise Failed(f"{self.name}: no ticket: {tail(invited.stderr)}")
        return json.loads(invited.stdout)["ticket"]

    def id(self):
        return json.loads(self.shoal("id", "--json", "--data-dir", self.dir).stdout)

    def kill(self):
        self.process.kill()

    def terminate(self):
        return self.process.terminate()

    def pss_bytes(self):
        """Memory that is this process's own, plus its share of what it shares."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
        raise Failed("no Pss in smaps_rollup")


def links(node):
    """Its connected peers and how: node, way (direct or relayed), transport, address."""
    return [peer for peer in node.peers() if peer["address"] is not None and peer["way"] is not None]


def faults(status):
    """What this node refused that speaks against somebody (docs/PROTOCOL.md 4.3)."""
    innocent = {"unknown_version", "replayed", "duplicate_body", "round_distant", "echo", "banned", "unasked"}
    return {reason: count for reason, count in status["rejects"].items() if reason not in innocent}


ENVIRONMENT = {"NO_COLOR": "1", "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin")}


def brief(status):
    """The part of a status that a failure's reader looks at."""
    keys = ("state", "round", "peers_known", "peers_heard", "accuracy", "reach", "addresses", "connected", "trouble", "listen", "ways")
    return {key: status[key] for key in keys if key in status} if status else "no answer"


def tail(text, lines=20):
    return "\n".join(text.splitlines()[-lines:])
