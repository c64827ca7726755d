"""Foreign peers read a run by docs/PROTOCOL.md: topic, frames, signatures, bodies, requests."""

from parts import foreign
from parts.bench import check
from parts.node import CHUNK, Node, faults, loopback, write_spec

ANNOUNCES = 6
# So many that the node which is asked is the author of some.
PULLED_FROM = 20


def nodes(bench, spec, count):
    """Nodes that train together over TCP and QUIC of loopback, and the first one's address."""
    first = Node(bench, "node0", arguments(spec, 0, count)).start()
    address = first.address()
    others = [Node(bench, f"node{i}", [*arguments(spec, i, count), "--bootstrap", address]).start() for i in range(1, count)]
    for node in [first, *others]:
        node.until_heard(1)
    return [first, *others], address


def arguments(spec, index, count):
    listen = [word for address in loopback() for word in ("--listen", address)]
    return ["--run", spec, *listen, "--mdns", "false", "--wait-for-peers", "1", "--shard", f"{index}/{count}"]


def checked(nodes_, announces):
    """The authors are the nodes, each sequence rises, and nobody was blamed for the visitor."""
    names = {node.id()["node"]: node.id()["peer"] for node in nodes_}
    last = {}
    for announce in announces:
        author = announce["author"]
        check(names.get(author) == announce["peer"], f"{author} is no node, or not {announce['peer']}")
        check(announce["round"] > last.get(author, -1), f"rounds of {author} do not rise")
        last[author] = announce["round"]
    check(len(last) >= 2, "announces of one author only: nothing was forwarded")
    for node in nodes_:
        status = node.trains_on(3)
        check(not faults(status) and not status["trouble"], f"{node.name}: {faults(status)}, {status['trouble']}")


def js_reads(bench, nodes_, address, count):
    run = nodes_[0].status()
    visitor = foreign.js(
        bench, "topic.mjs", "visitor", "--connect", address, "--network", run["network"], "--run", run["run"],
        "--chunk", str(CHUNK), "--announces", str(count),
    )
    visitor.until("done")
    announces = visitor.said("announce")
    checked(nodes_, announces)
    head = visitor.said("head")[0]
    check(head["ready"] == 1 and head["bytes"] == 1 and head["round"] >= announces[0]["round"], f"head {head}")
    return announces, visitor.said("body")


def js_decodes_inline_bodies(bench):
    """js-libp2p decodes and verifies announces whose bodies came along"""
    foreign.install_js()
    spec = write_spec(bench)
    announces, bodies = js_reads(bench, *nodes(bench, spec, 2), ANNOUNCES)
    check(all(announce["inline"] for announce in announces), "a body of a small network did not come along")
    bench.note(f"{len(announces)} announces, bodies of {bodies[0]['params']} parameters read to the last bit")


def js_pulls_bodies(bench):
    """js-libp2p asks for the bodies that did not come along, and for a head"""
    foreign.install_js()
    # Bodies come along in networks of up to one more than the peers of a round, of which three are the fewest.
    spec = write_spec(bench, peers=3)
    nodes_, address = nodes(bench, spec, 5)
    announces, bodies = js_reads(bench, nodes_, address, PULLED_FROM)
    asked = [(announce, body) for announce, body in zip(announces, bodies) if not announce["inline"]]
    check(len(asked) >= PULLED_FROM // 2, f"only {len(asked)} of {PULLED_FROM} bodies had to be asked for")
    own = [body for announce, body in asked if announce["author"] == nodes_[0].id()["node"]]
    check(own and None not in own, f"the author did not have its own bodies: {own}")
    got = sum(body is not None for _, body in asked)
    bench.note(f"{got} bodies had by digest, {len(own)} of them from their author; {len(asked) - got} not held")


def py_decodes(bench):
    """py-libp2p decodes and verifies announces, as a second opinion"""
    foreign.install_py()
    nodes_, address = nodes(bench, write_spec(bench), 2)
    run = nodes_[0].status()
    visitor = foreign.py(bench, "topic.py", "visitor", address, run["network"], run["run"], str(ANNOUNCES))
    visitor.until("done")
    checked(nodes_, visitor.said("announce"))


CASES = [js_decodes_inline_bodies, js_pulls_bodies, py_decodes]
