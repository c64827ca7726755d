"""Hosts on one machine: network namespaces joined by veth pairs, some behind a router that translates.

    hosts of the internet 198.18.N.1 (a range reserved for tests)        --- bridge
    home: host 192.168.N.2 -- router 192.168.N.1 | 198.18.100 + N.1 --- bridge

Each has a /24 of its own, as strangers have: a node takes only a few connections to one prefix.

Needs root, `ip` and `nft`. Everything it makes carries the process's id in its name and goes with the case.
"""

import os
import shutil
import subprocess

from .bench import Skipped


def internet(number):
    """The address of a host of the internet, 1 to 99, or of a home's router, 101 to 199."""
    return f"198.18.{number}.1"


# What a home router's translation does to UDP, in nftables' words. `masquerade` keeps a free source
# port, for all destinations, and lets in only what answers: a port-restricted cone. With random ports
# each destination sees another one: symmetric.
MASQUERADE = {"cone": "masquerade", "symmetric": "masquerade random,fully-random"}

# The input chain drops what nobody asked for before connection tracking keeps it. Kept, a first hole
# punch from outside would hold the port that the one from inside is about to need.
ROUTER = """
table ip home {{
  chain leaving {{
    type nat hook postrouting priority 100
    oifname "wan" {masquerade}
  }}
  chain arriving {{
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname {{ "lan", "lo" }} accept
  }}
  chain passing {{
    type filter hook forward priority 0; policy drop;
    {first}
    ct state established,related accept
    iifname "lan" accept
  }}
}}
"""
DROP_UDP = "meta l4proto udp drop"


def command(*words, text=None):
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True)


def need_namespaces():
    """Skips where namespaces, veth pairs or translation are not to be had, and says which."""
    if os.geteuid() != 0:
        raise Skipped("network namespaces need root")
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            raise Skipped(f"`{tool}` is not installed (scripts/setup ip nft)")
    probe = Lan.name("probe")
    try:
        command("ip", "netns", "add", probe)
        command("ip", "-n", probe, "link", "add", "wan", "type", "veth", "peer", "name", "lan")
        command("ip", "-n", probe, "link", "add", "bridge", "type", "bridge")
        command("ip", "netns", "exec", probe, "nft", "-f", "-", text=router("symmetric", True))
    except subprocess.CalledProcessError as error:
        raise Skipped(f"`{' '.join(error.cmd)}` is not allowed here: {error.stderr.strip().splitlines()[-1:]}") from None
    finally:
        subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)


def router(kind, udp_blocked):
    return ROUTER.format(masquerade=MASQUERADE[kind], first=DROP_UDP if udp_blocked else "")


class Lan:
    """One bridge and the hosts on it."""

    made = 0

    def __init__(self, bench, tag):
        Lan.made += 1
        self.ports = 0
        self.bench, self.tag = bench, f"{tag}{Lan.made}"
        self.bridge = self.namespace("net")
        command("ip", "-n", self.bridge, "link", "add", "bridge", "type", "bridge")
        command("ip", "-n", self.bridge, "link", "set", "bridge", "up")

    @staticmethod
    def name(tag):
        return f"shoal{os.getpid()}-{tag}"

    def namespace(self, name):
        full = Lan.name(f"{self.tag}-{name}")
        command("ip", "netns", "add", full)
        self.bench.finally_do(lambda: subprocess.run(["ip", "netns", "del", full], capture_output=True, check=False))
        command("ip", "-n", full, "link", "set", "lo", "up")
        return full

    def cable(self, here, port, there, other_port, address):
        """A veth pair; `address` is the one of the far end."""
        command("ip", "-n", here, "link", "add", port, "type", "veth", "peer", "name", other_port, "netns", there)
        command("ip", "-n", here, "link", "set", port, "up")
        command("ip", "-n", there, "address", "add", address, "dev", other_port)
        command("ip", "-n", there, "link", "set", other_port, "up")

    def attach(self, host, device, address):
        # The name of a port on the bridge, at most 15 characters.
        self.ports += 1
        port = f"port{self.ports}"
        self.cable(self.bridge, port, host, device, address)
        command("ip", "-n", self.bridge, "link", "set", port, "master", "bridge")

    def host(self, name, address):
        """A host on the bridge, with everybody else of the world on the same wire."""
        host = self.namespace(name)
        self.attach(host, "eth", f"{address}/24")
        command("ip", "-n", host, "route", "add", "default", "dev", "eth")
        return host

    def home(self, name, number, kind, udp_blocked=False):
        """A host behind a router of this kind."""
        gate, host = self.namespace(f"{name}-router"), self.namespace(name)
        self.attach(gate, "wan", f"{internet(100 + number)}/24")
        command("ip", "-n", gate, "route", "add", "default", "dev", "wan")
        self.cable(gate, "lan", host, "eth", f"192.168.{number}.2/24")
        command("ip", "-n", gate, "address", "add", f"192.168.{number}.1/24", "dev", "lan")
        command("ip", "-n", host, "route", "add", "default", "via", f"192.168.{number}.1")
        command("ip", "netns", "exec", gate, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        command("ip", "netns", "exec", gate, "nft", "-f", "-", text=router(kind, udp_blocked))
        return host
