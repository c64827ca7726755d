// A Kademlia server as the public DHT has them, speaking /ipfs/kad/1.0.0 where it is told to.
//
//   node kad.mjs --listen MULTIADDR [--key ed25519|rsa] [--bootstrap MULTIADDR]..
//                [--junk COUNT --namespace TEXT]
//
// Says one JSON object a line: {"ready": [address..]}, then {"identified": peer, agent, protocols} for
// every peer that introduces itself, and {"provider": peer} for every record that it takes in. With
// --junk it holds records of COUNT peers that are nowhere, under the key of the namespace.
import './polyfill.mjs'
import { parseArgs } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

const { values: args } = parseArgs({
  options: {
    listen: { type: 'string' },
    key: { type: 'string', default: 'ed25519' },
    bootstrap: { type: 'string', multiple: true, default: [] },
    junk: { type: 'string', default: '0' },
    namespace: { type: 'string', default: '' }
  }
})
const say = (object) => process.stdout.write(JSON.stringify(object) + '\n')

const node = await createLibp2p({
  privateKey: await (args.key === 'rsa' ? generateKeyPair('RSA', 2048) : generateKeyPair('Ed25519')),
  addresses: { listen: [args.listen] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  // The default takes five inbound connections a second from one host, and here all come from one.
  connectionManager: { inboundConnectionThreshold: Infinity },
  services: {
    identify: identify(),
    ping: ping(),
    dht: kadDHT({
      protocol: '/ipfs/kad/1.0.0',
      clientMode: false,
      // The default drops private addresses, and here there are no others.
      peerInfoMapper: passthroughMapper
    })
  }
})

node.addEventListener('peer:identify', ({ detail }) => {
  say({ identified: detail.peerId.toString(), agent: detail.agentVersion, protocols: detail.protocols })
})

const providers = node.services.dht.providers
const add = providers.addProvider.bind(providers)
providers.addProvider = async (cid, peer, options) => {
  await add(cid, peer, options)
  say({ provider: peer.toString() })
}

for (const address of args.bootstrap) {
  await node.dial(multiaddr(address))
}

if (Number(args.junk) > 0) {
  const cid = CID.createV1(raw.code, await sha256.digest(new TextEncoder().encode(args.namespace)))
  for (let i = 0; i < Number(args.junk); i++) {
    const peer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    // Port 9 discards; nobody listens there, so a dial fails at once.
    const multiaddrs = Array.from({ length: 4 }, (_, host) => multiaddr(`/ip4/127.0.${i}.${host + 1}/tcp/9`))
    await node.peerStore.merge(peer, { multiaddrs })
    await add(cid, peer)
  }
}

say({ ready: node.getMultiaddrs().map(String) })
process.on('SIGTERM', () => process.exit(0))
