"""Hosts on one LAN find each other: by mDNS, told nothing, or by a ticket alone."""

from parts.bench import check
from parts.hosts import Lan, need_namespaces
from parts.node import Node, write_spec

# From the start of the second to the deltas of both, seconds.
BY_MDNS_WITHIN = 5.0
BY_TICKET_WITHIN = 3.0


def neighbours(bench, mdns):
    """The first of two hosts, running, and what makes a node on the second. The first waits for somebody,
    as `shoal run` does by itself; the clock is the second's."""
    need_namespaces()
    lan = Lan(bench, "lan")
    spec = write_spec(bench)
    common = ["--wait-for-peers", "1", "--mdns", "true" if mdns else "false", "--upnp", "false"]
    alice = Node(bench, "alice", ["--run", spec, *common, "--shard", "0/2"], lan.host("alice", "192.168.7.2")).start()
    alice.address()
    return alice, spec, [*common, "--shard", "1/2"], lan.host("bob", "192.168.7.3")


def train(bench, alice, bob, within):
    took = bob.until_heard()
    alice.until("its neighbour", lambda status: status["peers_heard"] == 1)
    for node in (alice, bob):
        node.trains_on(3)
    check(took <= within, f"{took:.1f} s to the first deltas, not {within:g}")
    bench.note(f"{took:.1f} s to the first deltas")


def mdns_finds_a_neighbour(bench):
    """two hosts on one LAN, told nothing, exchange deltas within 5 s"""
    alice, spec, common, host = neighbours(bench, mdns=True)
    train(bench, alice, Node(bench, "bob", ["--run", spec, *common], host).start(), BY_MDNS_WITHIN)


def a_ticket_is_enough(bench):
    """who is told nothing but a ticket exchanges deltas within 3 s"""
    alice, _, common, host = neighbours(bench, mdns=False)
    train(bench, alice, Node(bench, "bob", common, host, verb=("join", alice.ticket())).start(), BY_TICKET_WITHIN)


CASES = [mdns_finds_a_neighbour, a_ticket_is_enough]
