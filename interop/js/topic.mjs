// A peer that knows a run only by docs/PROTOCOL.md: it subscribes to the run's topic, decodes what
// comes, verifies it, and asks a node for its head and for the bodies that were too long to come along.
//
//   node topic.mjs --connect MULTIADDR --network NAME --run HEX --chunk N --announces N
//
// Says one JSON object a line: {"announce": ..} for each, {"head": ..}, and ends with {"done": true}.
// Exits with 1 and {"error": ..} at the first byte that is not as the page says.
import './polyfill.mjs'
import { parseArgs } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { checkBody, hex, messageId, readAnnounce, readBody } from './wire.mjs'
import { ask } from './stream.mjs'

const { values: args } = parseArgs({
  options: {
    connect: { type: 'string' },
    network: { type: 'string' },
    run: { type: 'string' },
    chunk: { type: 'string' },
    announces: { type: 'string', default: '5' }
  }
})
const say = (object) => process.stdout.write(JSON.stringify(object, (_, v) => typeof v === 'bigint' ? Number(v) : v) + '\n')
const fail = (error) => {
  say({ error: error.message })
  process.exit(1)
}
process.on('unhandledRejection', fail)

const topic = `/shoal/${args.network}/${args.run}`
const node = await createLibp2p({
  addresses: { listen: [] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    gossip: gossipsub({
      // [2.5]: no signature, author or sequence number of gossipsub's own.
      globalSignaturePolicy: 'StrictNoSign',
      msgIdFn: (message) => messageId(message.data),
      // A frame of 64 KiB and the envelope around it.
      maxInboundDataLength: 70_000,
      emitSelf: false
    })
  }
})

const connection = await node.dial(multiaddr(args.connect))
const sync = (kind, fields) => ask(connection, `/shoal/${args.network}/sync/1`, kind, fields)
let left = Number(args.announces)

async function take (frame) {
  const announce = readAnnounce(frame, args.network)
  if (hex(announce.run) !== args.run) throw new Error('wrong_run')
  let body = announce.body
  const inline = body.length > 0
  if (!inline) {
    // An author holds its last bodies; others hold what they happened to need.
    body = (await sync(2, [announce.run, announce.digest]))?.payload
    if (body !== undefined) checkBody(announce, body)
  }
  const peer = peerIdFromPublicKey(publicKeyFromRaw(announce.author)).toString()
  say({
    announce: {
      author: hex(announce.author), peer, round: announce.round, seq: announce.seq, bodyBytes: announce.bodyBytes,
      samples: announce.samples, steps: announce.steps, sliceRms: announce.sliceRms, inline
    },
    body: body === undefined ? null : readBody(body, announce, Number(args.chunk))
  })
}

// One after the other, in the order of arrival: a node serves four requests of one connection at once.
let queue = Promise.resolve()
node.services.gossip.addEventListener('message', ({ detail }) => {
  if (left === 0 || detail.topic !== topic) return
  left -= 1
  queue = queue.then(() => take(detail.data)).then(left === 0 ? finish : undefined).catch(fail)
})

async function finish () {
  const head = await sync(1, [Buffer.from(args.run, 'hex')])
  say({ head: { round: head.round, ready: head.payload[0], bytes: head.payload.length } })
  say({ done: true })
  process.exit(0)
}

node.services.gossip.subscribe(topic)
say({ subscribed: topic, peer: node.peerId.toString() })
