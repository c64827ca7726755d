"""A second opinion: py-libp2p subscribes to a run's topic and reads announces by docs/PROTOCOL.md.

Arguments: MULTIADDR NETWORK RUN COUNT. Says one JSON object a line, as topic.mjs does; exits with 1
at the first byte that is not as the page says. Runs in an environment of its own (requirements.txt).
"""

import json
import struct
import sys

import multiaddr
import trio
from blake3 import blake3
from libp2p import new_host
from libp2p.crypto.ed25519 import Ed25519PublicKey, create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

# Rule 2.2 without its version and kind: run, author, round, seq, digest, body, samples, steps, slice_rms.
FIELDS = struct.Struct("<32s32sQQ32sIIIf")
HEADER_BYTES = 2 + FIELDS.size
SIGNATURE_BYTES = 64
SCOPE = "shoal 2026 signature scope v1"
PATIENCE_S = 30


def say(**fields):
    print(json.dumps(fields), flush=True)


def read(frame, network, run):
    """One frame; raises on what the page does not allow."""
    assert HEADER_BYTES == 130 and frame[:2] == b"\x01\x01", "version and kind"
    fields = FIELDS.unpack_from(frame, 2)
    author, round_number, body_bytes = fields[1], fields[2], fields[5]
    assert fields[0] == run, "wrong_run"
    name = network.encode()
    scope = blake3(struct.pack("<Q", len(name)) + name + run, derive_key_context=SCOPE).digest()
    signature, body = frame[HEADER_BYTES : HEADER_BYTES + SIGNATURE_BYTES], frame[HEADER_BYTES + SIGNATURE_BYTES :]
    key = Ed25519PublicKey.from_bytes(author)
    assert key.verify(scope + frame[:HEADER_BYTES], signature), "bad_signature"
    assert not key.verify(scope + frame[: HEADER_BYTES - 1] + b"\xff", signature), "a changed byte must not verify"
    if body:
        assert len(body) == body_bytes and blake3(body).digest() == fields[4], "body_digest_mismatch"
        assert body[0] == 2 and struct.unpack_from("<Q", body, 8)[0] == round_number, "body header"
    return {"author": author.hex(), "peer": str(ID.from_pubkey(key)), "round": round_number, "inline": bool(body)}


async def main(address, network, run, count):
    topic = f"/shoal/{network}/{run}"
    host = new_host(key_pair=create_new_key_pair())
    gossip = GossipSub([PROTOCOL_ID_V11], degree=4, degree_low=3, degree_high=6, heartbeat_interval=1)
    # Rule 2.5: messages carry no signature of gossipsub's, and are named by their bytes.
    pubsub = Pubsub(host, gossip, strict_signing=False, msg_id_constructor=lambda m: blake3(m.data).digest()[:20])
    async with host.run(listen_addrs=[]), background_trio_service(pubsub), background_trio_service(gossip):
        await pubsub.wait_until_ready()
        subscription = await pubsub.subscribe(topic)
        await host.connect(info_from_p2p_addr(multiaddr.Multiaddr(address)))
        say(subscribed=topic)
        for _ in range(count):
            message = await subscription.get()
            say(announce=read(message.data, network, bytes.fromhex(run)))
        say(done=True)


async def bounded():
    with trio.fail_after(PATIENCE_S):
        await main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))


if __name__ == "__main__":
    trio.run(bounded)
