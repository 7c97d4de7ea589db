import { openConnection, type RawConnection } from './raw-connection.ts'

/** The kinds of frames: https://www.rfc-editor.org/rfc/rfc6455#section-5.2 */
export const OPCODE = { continuation: 0, text: 1, binary: 2, reserved: 3, close: 8, ping: 9, pong: 10 } as const

type FrameOptions = { isFinal?: boolean; isMasked?: boolean; reservedBits?: number; length?: number }

/** Returns one frame, well formed or not. `length`: the length in its header. */
export function frame(opcode: number, payload: string | Buffer = '', options: FrameOptions = {}): Buffer {
  const { isFinal = true, isMasked = true, reservedBits = 0 } = options
  const bytes = Buffer.from(payload)
  const length = options.length ?? bytes.length
  const first = (isFinal ? 0x80 : 0) | (reservedBits << 4) | opcode
  const mark = isMasked ? 0x80 : 0
  const head =
    length < 126 ? Buffer.from([first, mark | length]) : Buffer.concat([Buffer.from([first, mark | 127]), wide(length)])
  // A mask of zeros leaves the payload unchanged.
  return Buffer.concat([head, Buffer.alloc(isMasked ? 4 : 0), bytes])
}

function wide(length: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(length))
  return bytes
}

/** Returns a frame with a JSON message. */
export function message(json: unknown): Buffer {
  return frame(OPCODE.text, JSON.stringify(json))
}

const PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'

/** Opens a WebSocket for handmade frames, which may follow the upgrade request immediately. */
export async function openByHand(url: string, token?: string, fields: string[] = []): Promise<RawConnection> {
  const connection = await openConnection(url)
  const lines = [
    `GET ${PATH} HTTP/1.1`,
    'Host: hearth.test',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...fields,
  ]
  connection.send(`${lines.join('\r\n')}\r\n\r\n`)
  return connection
}

/** Returns the text frames of the server, and its close code. */
export function framesIn(received: string): { texts: string[]; closeCode: number | undefined } {
  const bytes = Buffer.from(received.slice(received.indexOf('\r\n\r\n') + 4), 'latin1')
  const texts: string[] = []
  let closeCode: number | undefined
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = bytes[at]! & 0x0f
    const short = bytes[at + 1]! & 0x7f
    const headSize = short === 126 ? 4 : short === 127 ? 10 : 2
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short
    const payload = bytes.subarray(at + headSize, at + headSize + length)
    if (opcode === OPCODE.text) texts.push(payload.toString())
    if (opcode === OPCODE.close && payload.length >= 2) closeCode = payload.readUInt16BE(0)
    at += headSize + length
  }
  return { texts, closeCode }
}
