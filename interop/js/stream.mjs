// One question on a stream of its own, as docs/PROTOCOL.md 2.3 and 2.4 say.
import { byteStream } from '@libp2p/utils'

const VERSION = 1
const NONE = 0
// Version, kind, and the round.
const ANSWER_HEAD_BYTES = 10
// Longer than any body of the runs that are asked here; the asker states its bound before it reads.
const ANSWER_BYTES_MAX = 4 << 20
const PATIENCE_MS = 10_000

const u32 = (value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

// The answer's round and payload, or undefined for an answer of kind 0. Throws on any other kind.
export async function ask (connection, protocol, kind, fields) {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const stream = await connection.newStream(protocol, { signal })
  const bytes = byteStream(stream, { maxBufferSize: ANSWER_BYTES_MAX })
  const request = Buffer.concat([Uint8Array.of(VERSION, kind), ...fields])
  await bytes.write(Buffer.concat([u32(request.length), request]), { signal })
  const read = async (count) => Buffer.from((await bytes.read({ bytes: count, signal })).subarray())
  const status = (await read(1))[0]
  if (status !== 0) throw new Error(`status ${status} to a request of kind ${kind}`)
  const length = (await read(4)).readUInt32LE()
  if (length < ANSWER_HEAD_BYTES || length > ANSWER_BYTES_MAX) throw new Error(`an answer of ${length} bytes`)
  const answer = await read(length)
  await stream.close({ signal })
  // Not held, not ready, or not willing: an answer to anything.
  if (answer[0] === VERSION && answer[1] === NONE) return undefined
  if (answer[0] !== VERSION || answer[1] !== kind) throw new Error(`answer ${answer[0]}, ${answer[1]} to kind ${kind}`)
  return { round: answer.readBigUInt64LE(2), payload: answer.subarray(ANSWER_HEAD_BYTES) }
}
