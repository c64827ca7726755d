"""Two homes behind NATs and hosts of the internet: how they meet, what carries their deltas, what each
part that others run is needed for. Each row of the matrix is a case; the rows go into docs/NETWORK.md.

Hosts: three foreign Kademlia servers as the rendezvous, and two of our nodes with `--role relay`, which
serve and do not train. The one called bootstrap is known to home b by its address; home a knows nothing
but the rendezvous, so by that it was met. Only the two homes train: whatever either hears is the other's.
"""

import os
import sys
import time
from dataclasses import asdict, dataclass

from parts import foreign, results
from parts.bench import Failed, check, until
from parts.hosts import Lan, internet, need_namespaces
from parts.node import Node, faults, links, write_network, write_spec

NAME = "homes"
RENDEZVOUS = [internet(number) for number in (21, 22, 23)]
RELAY, BOOTSTRAP = internet(10), internet(11)
PORT = 7462
# From the start of the homes to deltas of both: the product's promise for strangers, seconds.
WITHIN = 60.0
# A direct connection comes seconds after the first by a relay, or not at all.
DIRECT_WITHIN = 25.0
# What two homes that only a relay joins may need to come together again by another, seconds.
MOVED_WITHIN = 90.0
ROUNDS_ON = 6
# What a node logs when a hole was punched. That takes milliseconds here, so no status shows the relay
# that the two met by.
PUNCHED = "a direct way was found"


@dataclass
class Row:
    """A line of the matrix: first what the homes are, then what was seen."""

    a: str
    b: str
    udp_blocked: bool = False
    must_be_direct: bool = False
    met_by: str = ""
    first: str = ""
    later: str = ""
    direct_s: float = 0.0
    deltas_s: float = 0.0
    cuts: str = ""
    rounds: int = 0

    def key(self):
        return f"{self.a}-{self.b}{'-udp-blocked' if self.udp_blocked else ''}"


class World:
    """The hosts of one row, and what runs on them."""

    def __init__(self, bench, row):
        foreign.install_js()
        self.bench, self.row, self.lan = bench, row, Lan(bench, "nat")
        hosts = [self.lan.host(f"kad{index}", address) for index, address in enumerate(RENDEZVOUS)]
        listens = [f"/ip4/{address}/tcp/4001" for address in RENDEZVOUS]
        self.servers, addresses = foreign.amino(bench, listens, hosts)
        self.network, self.spec = write_network(bench, NAME, "internet", addresses), write_spec(bench)
        self.relay = self.public("relay", RELAY)
        self.bootstrap = self.public("bootstrap", BOOTSTRAP, "--bootstrap", self.relay.address(ip=RELAY))
        self.relays = {node.id()["peer"]: node for node in (self.relay, self.bootstrap)}
        # Found by nobody before it has an address that others confirmed, and said so.
        until("the public nodes at the rendezvous", lambda: self.relays.keys() <= self.announced())
        self.a = self.home("a", 1, row.a, row.udp_blocked)
        self.b = self.home("b", 2, row.b, False, "--bootstrap", self.bootstrap.address(ip=BOOTSTRAP))
        self.homes = [self.a, self.b]

    def announced(self):
        return {peer for server in self.servers for peer in server.said("provider")}

    def public(self, name, address, *more):
        args = ["--role", "relay", "--network", self.network, "--mdns", "false", *self.listen(address), *more]
        return Node(self.bench, name, args, self.lan.host(name, address)).start()

    def home(self, name, number, kind, udp_blocked, *more):
        host = self.lan.home(name, number, kind, udp_blocked)
        args = [
            "--run", self.spec, "--network", self.network, *self.listen("0.0.0.0"), "--wait-for-peers", "1",
            "--shard", f"{number - 1}/2", "--mdns", "false", *more,
        ]
        return Node(self.bench, name, args, host)

    @staticmethod
    def listen(address):
        return ["--listen", f"/ip4/{address}/tcp/{PORT}", "--listen", f"/ip4/{address}/udp/{PORT}/quic-v1"]

    def link(self):
        """How the homes are connected: what both say if they agree, else None."""
        one, other = self.seen_by(self.a, self.b), self.seen_by(self.b, self.a)
        return one if one and other and one["way"] == other["way"] else None

    @staticmethod
    def seen_by(here, there):
        return next((link for link in links(here) if link["node"] == there.id()["node"]), None)

    def path(self, link):
        return "relay" if link["way"] == "relayed" else f"direct, {link['transport']}"


def watch(world):
    """Starts the homes and follows their connection until it is direct, or long after they trained."""
    row, heard = world.row, {}
    for home in world.homes:
        home.start()
    begun = time.monotonic()

    def step():
        now = time.monotonic() - begun
        link = world.link()
        if link and not row.first:
            row.first = world.path(link)
        if link and link["way"] == "direct" and not row.direct_s:
            row.direct_s = now
        for home in world.homes:
            if home.name not in heard and (home.status() or {}).get("peers_heard", 0) >= 1:
                heard[home.name] = now
        trained = len(heard) == 2
        return trained and (row.direct_s or now > max(heard.values()) + DIRECT_WITHIN)

    until("both homes to hear each other", step, WITHIN + DIRECT_WITHIN)
    row.deltas_s = max(heard.values())
    row.later = world.path(until("the homes' connection", world.link))
    if row.direct_s and any(PUNCHED in home.log() for home in world.homes):
        row.first = "relay"
    row.met_by = met_by(world)


def met_by(world):
    """The ways by which home a found anybody; it was told of the rendezvous only."""
    found = [name for name, way in world.a.status()["ways"].items() if way["found"] > 0]
    return " + ".join(found)


def cut(world):
    """Ends the parts that others run, one after the other, and sees who goes on training."""
    direct = world.row.later.startswith("direct")
    steps = [("relay", [world.relay]), ("bootstrap", [world.bootstrap]), ("rendezvous", world.servers)]
    if not direct:
        in_use = relay_in_use(world)
        steps = [("rendezvous", world.servers), ("the relay in use", [in_use])]
    words = []
    for name, parts in steps:
        for part in parts:
            part.kill()
        begun = time.monotonic()
        for home in world.homes:
            status = home.trains_on(ROUNDS_ON, 1, MOVED_WITHIN)
            blamed = faults(status)
            # What waits while a connection ends comes all at once, and may then look like a flood. That
            # weighs little, and is said here; a ban would have ended the training that is waited for.
            if bursts := blamed.pop("announce_flood", 0):
                world.bench.note(f"{home.name} took a burst of {bursts} announces for a flood")
            check(not blamed and not status["trouble"], f"{home.name}: {blamed}, {status['trouble']}")
        words.append(name)
    moved = "" if direct else f" by the other relay, after {time.monotonic() - begun:.0f} s"
    return f"{', '.join(words)}: trained on{moved}"


def relay_in_use(world):
    address = world.link()["address"]
    found = [node for peer, node in world.relays.items() if peer in address]
    if not found:
        raise Failed(f"the homes' connection {address} is by no relay of this world")
    return found[0]


def see(bench, row):
    need_namespaces()
    world = World(bench, row)
    watch(world)
    check(row.deltas_s <= WITHIN, f"{row.deltas_s:.1f} s to the first deltas, not {WITHIN:g}")
    check("rendezvous" in row.met_by, f"home a met by {row.met_by or 'nothing'}")
    check(not row.must_be_direct or row.later.startswith("direct"), f"still by {row.later}")
    row.cuts = cut(world)
    row.rounds = world.a.status()["round"]
    results.keep("nat", row.key(), asdict(row))
    bench.note(f"met by {row.met_by}; first by {row.first}, then {row.later}; deltas after {row.deltas_s:.1f} s; cut {row.cuts}; {row.rounds} rounds")


# Sends to each of the addresses from one port, and says from where they saw it come.
PROBE = """
import socket, sys
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.bind(("0.0.0.0", 5000))
probe.settimeout(2)
for host in sys.argv[1:]:
    probe.sendto(b"seen from where?", (host, 6000))
    try:
        print(probe.recv(100).decode())
    except TimeoutError:
        print("no answer")
"""
# Answers with the port it sees, once from the port that was called and once from another.
ECHO = """
import socket
echo, stranger = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
echo.bind(("0.0.0.0", 6000))
print("ready", flush=True)
while True:
    _, caller = echo.recvfrom(100)
    stranger.sendto(b"a stranger came in", caller)
    echo.sendto(str(caller[1]).encode(), caller)
"""


def routers_are_what_they_are_called(bench):
    """the routers of the rows translate as their names say"""
    need_namespaces()
    lan = Lan(bench, "probe")
    echoes = []
    for index, address in enumerate((RELAY, BOOTSTRAP)):
        inside = ["ip", "netns", "exec", lan.host(f"echo{index}", address)]
        echoes.append(bench.start([*inside, sys.executable, "-c", ECHO], f"echo{index}", dict(os.environ)))
    until("the echoes", lambda: all("ready" in echo.log() for echo in echoes))

    def seen(name, number, kind, udp_blocked):
        inside = ["ip", "netns", "exec", lan.home(name, number, kind, udp_blocked)]
        probe = bench.start([*inside, sys.executable, "-c", PROBE, RELAY, BOOTSTRAP], name, dict(os.environ))
        until(f"the end of {name}", lambda: not probe.runs())
        return probe.log().split("\n")[:2]

    check(seen("cone", 1, "cone", False) == ["5000", "5000"], "a cone shows one port to all, and lets no stranger in")
    one, other = seen("symmetric", 2, "symmetric", False)
    check(one.isdigit() and other.isdigit() and one != other, f"symmetric, but both saw {one}, {other}")
    check(seen("blocked", 3, "cone", True) == ["no answer", "no answer"], "UDP passed where it is blocked")


def both_cone(bench):
    """both homes behind port-restricted cones: direct in the end"""
    see(bench, Row("cone", "cone", must_be_direct=True))


def cone_and_symmetric(bench):
    """one home behind a port-restricted cone, one behind a symmetric NAT"""
    see(bench, Row("cone", "symmetric"))


def both_symmetric(bench):
    """both homes behind symmetric NATs"""
    see(bench, Row("symmetric", "symmetric"))


def udp_blocked(bench):
    """both homes behind port-restricted cones, UDP blocked at one"""
    see(bench, Row("cone", "cone", udp_blocked=True))


CASES = [routers_are_what_they_are_called, both_cone, cone_and_symmetric, both_symmetric, udp_blocked]
