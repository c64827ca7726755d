"""Two nodes meet through a foreign Kademlia network, in which js-libp2p stands in the public DHT's place."""

from parts import foreign
from parts.bench import check
from parts.node import Node, faults, loopback, write_network, write_spec

# From the start of the second to the deltas of both, seconds.
WITHIN = 60.0
# Records of peers that are nowhere, on the network's key of every server. An answer with all of them
# is far beyond the 16 KiB that Kademlia's packets are bounded by if nobody says otherwise.
JUNK = 250
NAME = "interop"
# Rounds that go on without the servers.
ROUNDS_ON = 10


def arguments(spec, network, index, count):
    listen = [word for address in loopback(("tcp", "quic")) for word in ("--listen", address)]
    return [
        "--run", spec, "--network", network, *listen, "--mdns", "false", "--wait-for-peers", "1",
        "--shard", f"{index}/{count}",
    ]


def meet(bench, junk=0):
    """Servers and the two nodes that met through them; how long that took."""
    foreign.install_js()
    more = ("--junk", str(junk), "--namespace", f"shoal/rendezvous/{NAME}") if junk else ()
    servers, addresses = foreign.amino(bench, ["/ip4/127.0.0.1/tcp/0"] * 3, more=(more,) * 3)
    network = write_network(bench, NAME, "lan", addresses)
    spec = write_spec(bench)
    nodes = [Node(bench, f"node{index}", arguments(spec, network, index, 3)).start() for index in range(2)]
    took = max(node.until_heard(1, 2 * WITHIN) for node in nodes)
    check(took <= WITHIN, f"{took:.1f} s to the first deltas, not {WITHIN:g}")
    return servers, nodes, arguments(spec, network, 2, 3), took


def strangers_meet(bench):
    """two nodes with only the rendezvous in common exchange deltas within 60 s and go on without it"""
    servers, nodes, more, took = meet(bench)
    bench.note(f"{took:.1f} s to the first deltas")
    theirs = {node.id()["peer"] for node in nodes}
    introduced = {word["identified"]: word["protocols"] for server in servers for word in server.words() if "identified" in word}
    check(theirs <= introduced.keys(), "a node never introduced itself to the servers")
    for peer in theirs:
        check("/ipfs/kad/1.0.0" not in introduced[peer], f"{peer} offers to serve the foreign network")
    announced = {peer for server in servers for peer in server.said("provider")}
    check(announced <= theirs and announced, f"announced: {announced}, the nodes are {theirs}")
    for node in nodes:
        check(node.status()["peers_known"] == 1, f"{node.name} took foreign peers for nodes")

    for server in servers:
        server.kill()
    for node in nodes:
        status = node.trains_on(ROUNDS_ON)
        check(not faults(status) and not status["trouble"], f"{faults(status)}, {status['trouble']}")
    newcomer = Node(bench, "node2", [*more, "--bootstrap", nodes[0].address()]).start()
    bench.note(f"without the servers, a newcomer that knows one node hears both after {newcomer.until_heard(2):.1f} s")


def junk_does_not_hide_a_node(bench):
    """250 records of peers that are nowhere, on the same key, do not keep two nodes apart"""
    _, nodes, _, took = meet(bench, JUNK)
    for node in nodes:
        node.trains_on(3)
    bench.note(f"{took:.1f} s to the first deltas")


CASES = [strangers_meet, junk_does_not_hide_a_node]
