// The bytes of a run's messages, read by docs/PROTOCOL.md and nothing else. Numbers in brackets are
// the page's rules. Throws on whatever the page does not allow.
import { blake3 } from '@noble/hashes/blake3.js'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'

export const GOSSIP_BYTES_MAX = 65_536
const HEADER_BYTES = 130
const SIGNATURE_BYTES = 64

export const hex = (bytes) => Buffer.from(bytes).toString('hex')
export const messageId = (frame) => blake3(frame).slice(0, 20)

function need (holds, what) {
  if (!holds) throw new Error(what)
}

function u64 (value) {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
  return bytes
}

// [2.2], [3]: a gossip frame, its signature verified.
export function readAnnounce (frame, network) {
  need(frame.length <= GOSSIP_BYTES_MAX, 'oversized')
  need(frame.length >= HEADER_BYTES + SIGNATURE_BYTES, 'truncated')
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  need(frame[0] === 1 && frame[1] === 1, 'version and kind')
  const announce = {
    run: frame.slice(2, 34),
    author: frame.slice(34, 66),
    round: view.getBigUint64(66, true),
    seq: view.getBigUint64(74, true),
    digest: frame.slice(82, 114),
    bodyBytes: view.getUint32(114, true),
    samples: view.getUint32(118, true),
    steps: view.getUint32(122, true),
    sliceRms: view.getFloat32(126, true),
    body: frame.slice(HEADER_BYTES + SIGNATURE_BYTES)
  }
  const name = new TextEncoder().encode(network)
  const scope = blake3(Buffer.concat([u64(name.length), name, announce.run]), {
    context: new TextEncoder().encode('shoal 2026 signature scope v1')
  })
  const key = publicKeyFromRaw(announce.author)
  const signed = Buffer.concat([scope, frame.slice(0, HEADER_BYTES)])
  const signature = frame.slice(HEADER_BYTES, HEADER_BYTES + SIGNATURE_BYTES)
  need(key.verify(signed, signature) === true, 'bad_signature')
  // What a verifier that says yes to everything would let pass.
  signed[40] ^= 1
  need(key.verify(signed, signature) === false, 'a changed byte must not verify')
  need(Number.isFinite(announce.sliceRms) && announce.sliceRms >= 0, 'slice_rms')
  if (announce.body.length > 0) checkBody(announce, announce.body)
  return announce
}

export function checkBody (announce, body) {
  need(body.length === announce.bodyBytes, `a body of ${body.length} bytes, announced ${announce.bodyBytes}`)
  need(hex(blake3(body)) === hex(announce.digest), 'body_digest_mismatch')
}

// [7.1], [7.2], [7.3]: a body read to its last byte. `chunk` is the spec's.
export function readBody (body, announce, chunk) {
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  need(body[0] === 2, 'body version')
  const [bits, perMille, params] = [body[1], view.getUint16(2, true), view.getUint32(4, true)]
  need(view.getBigUint64(8, true) === announce.round, 'the round announced')
  const parts = view.getUint16(16, true)
  need(Number.isInteger(Math.log2(parts)), 'slice parts are a power of two')
  const reader = new Bits(body, 18)
  let kept = 0
  for (let start = 0; start < params; start += chunk) {
    kept += readChunk(reader, Math.min(chunk, params - start), perMille, bits)
  }
  const sliceAt = reader.endOfByte()
  const slice = sliceLengths(params, parts).find((values) => sliceAt + sliceBytes(values) === body.length)
  need(slice !== undefined, `${body.length - sliceAt} bytes are no slice of one part in ${parts} of ${params}`)
  for (let group = 0; group < Math.ceil(slice / 256); group++) {
    const scale = view.getFloat32(sliceAt + 4 * group, true)
    need(scale >= 1e-30 && scale <= 1e30, 'a slice scale')
  }
  return { params, perMille, parts, kept, slice }
}

// [7.2]: one chunk; the number of values it keeps.
function readChunk (reader, length, perMille, bits) {
  const k = Math.min(Math.max(Math.floor((length * perMille + 500) / 1000), 1), length)
  for (let scale = 0; scale < bits; scale++) {
    const half = reader.take(16)
    need(half < 0x7c00, 'a scale is finite and its sign bit 0')
  }
  const p = Math.max(0, Math.floor(Math.log2(Math.floor((length * 693147) / (k * 1000000)))))
  let index = -1
  for (let i = 0; i < k; i++) {
    const high = reader.unary(length)
    index += 1 + high * 2 ** p + reader.take(p)
    need(index < length, 'an index within its chunk')
  }
  reader.take(k)
  if (bits === 2) reader.take(k)
  return k
}

const sliceBytes = (values) => 4 * Math.ceil(values / 256) + values

// [7.3]: how long a block of one part in `parts` can be. Which block it is needs the run's shuffle.
function sliceLengths (params, parts) {
  const lengths = new Set()
  for (let b = 0; b < parts; b++) {
    lengths.add(Math.floor(params * (b + 1) / parts) - Math.floor(params * b / parts))
  }
  return [...lengths]
}

class Bits {
  constructor (bytes, at) {
    this.bytes = bytes
    this.bit = at * 8
  }

  one () {
    need(this.bit < this.bytes.length * 8, 'the body ends early')
    const value = (this.bytes[this.bit >> 3] >> (this.bit & 7)) & 1
    this.bit += 1
    return value
  }

  // As a number where it fits in 32 bits; longer runs are only stepped over.
  take (count) {
    let value = 0
    for (let i = 0; i < count; i++) value += this.one() * 2 ** i
    return value
  }

  unary (most) {
    let zeros = 0
    while (this.one() === 0) need(++zeros <= most, 'a gap longer than its chunk')
    return zeros
  }

  // The next whole byte; what is left of this one is zero.
  endOfByte () {
    while (this.bit % 8 !== 0) need(this.one() === 0, 'the last byte is filled with zeros')
    return this.bit / 8
  }
}
