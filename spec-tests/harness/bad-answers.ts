import type { ServerResponse } from 'node:http'

const PIECE = 64 * 1024
const TRICKLE_MS = 200
const HUGE_BYTES = 64 * 1024 * 1024

/** Unusable responses of a server. */
export const BAD_ANSWERS = {
  /** Never begins. */
  silent: () => {},
  /** Begins and then stalls. */
  stalled: (response) => void response.writeHead(200).write('{'),
  /** Sends a byte now and then, forever. */
  trickling(response) {
    response.writeHead(200).write('{"pdus":[')
    const timer = setInterval(() => response.write(' '), TRICKLE_MS)
    response.once('close', () => clearInterval(timer))
  },
  /** Closes the connection in the middle. */
  cut: (response) =>
    void response.writeHead(200, { 'content-length': 1000 }).write('{"pdus":[', () => response.destroy()),
  'nothing at all': (response) => void response.writeHead(200).end(),
  'no JSON': (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  'no UTF-8': (response) => void response.writeHead(200).end(Buffer.from([0x22, 0xff, 0xfe, 0x22])),
  null: (response) => void response.writeHead(200).end('null'),
  'a text': (response) => void response.writeHead(200).end('"x"'),
  'a number': (response) => void response.writeHead(200).end('1e999'),
  'a list': (response) => void response.writeHead(200).end('[[],{},null,"x",5]'),
  'of wrong types': (response) => void response.writeHead(200).end(wrongTypes(0)),
  'of other wrong types': (response) => void response.writeHead(200).end(wrongTypes(1)),
  'of wrong types again': (response) => void response.writeHead(200).end(wrongTypes(2)),
  'of wrong types once more': (response) => void response.writeHead(200).end(wrongTypes(3)),
  'nested deeply': (response) => void response.writeHead(200).end(DEEP),
  /** JSON that takes twenty times its size in memory. */
  'a huge list': (response) =>
    send(response, { first: HUGE_LIST_START, piece: '{},'.repeat(PIECE / 3), last: '{}]}', bytes: HUGE_BYTES }),
  'a huge text': (response) =>
    send(response, {
      first: '{"event":{"content":{"body":"',
      piece: 'x'.repeat(PIECE),
      last: '"}}}',
      bytes: HUGE_BYTES,
    }),
  endless: (response) => send(response, { first: '{"pdus":[', piece: ' '.repeat(PIECE), last: '', bytes: Infinity }),
  /** An error with an endless message. */
  'an endless error': (response) => {
    response.statusCode = 404
    send(response, { first: '{"errcode":"', piece: 'M'.repeat(PIECE), last: '', bytes: Infinity })
  },
  'a server error': (response) => void response.writeHead(503).end('{"errcode":"M_UNKNOWN","error":"no"}'),
  'a server error without JSON': (response) => void response.writeHead(500).end('<html>'),
  'sent elsewhere': (response) =>
    void response.writeHead(302, { location: 'https://localhost:1/_matrix/elsewhere' }).end(),
  unauthorized: (response) => void response.writeHead(401).end('{"errcode":"M_UNAUTHORIZED","error":"who are you?"}'),
  'a refusal': (response) => void response.writeHead(403).end('{"errcode":"M_FORBIDDEN","error":"no"}'),
  'a refusal without a word': (response) => void response.writeHead(403).end(),
  'a refusal without JSON': (response) => void response.writeHead(403).end('<html>'),
  'a refusal of wrong types': (response) =>
    void response.writeHead(403).end('{"errcode":["M_FORBIDDEN"],"error":{},"retry_after_ms":"soon"}'),
  'a refusal that nests deeply': (response) =>
    void response
      .writeHead(403)
      .end(`{"errcode":"M_FORBIDDEN","error":"no","more":${'['.repeat(9000)}${']'.repeat(9000)}}`),
  /** Clients that get this log out. */
  'a refusal of the session': (response) =>
    void response.writeHead(403).end('{"errcode":"M_UNKNOWN_TOKEN","error":"go","soft_logout":false}'),
  'an errcode that is none': (response) =>
    void response.writeHead(403).end(JSON.stringify({ errcode: '<script>', error: 'x'.repeat(50_000) })),
  'not found': (response) => void response.writeHead(404).end('{"errcode":"M_NOT_FOUND","error":"not here"}'),
  'not found without JSON': (response) => void response.writeHead(404).end('<html>'),
  'too many requests': (response) =>
    void response.writeHead(429).end('{"errcode":"M_LIMIT_EXCEEDED","error":"slower","retry_after_ms":1e300}'),
  'too many requests without JSON': (response) => void response.writeHead(429, { 'retry-after': '99999999999' }).end(),
} satisfies Record<string, (response: ServerResponse) => void>

export type BadAnswer = keyof typeof BAD_ANSWERS

const KEYS = [
  'pdus',
  'events',
  'auth_chain',
  'state',
  'event',
  'pdu_ids',
  'auth_chain_ids',
  'room_version',
  'server_keys',
  'room',
  'chunk',
  'device_keys',
  'one_time_keys',
  'devices',
  'displayname',
  'room_id',
  'servers',
  'event_id',
  'children',
  'children_state',
  'members_omitted',
  'servers_in_room',
  'origin',
  'verify_keys',
  'valid_until_ts',
  'origin_server_ts',
  'signatures',
  'knock_room_state',
  'inaccessible_children',
]
/** Every field has a wrong type, which depends on `shift`. */
function wrongTypes(shift: number): string {
  const values = [5, null, [1, {}], { a: 1 }, 'x']
  return JSON.stringify(Object.fromEntries(KEYS.map((key, i) => [key, values[(i + shift) % values.length]])))
}
const DEEP = `{"pdus":${'['.repeat(50_000)}${']'.repeat(50_000)},"displayname":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`
const HUGE_LIST_START = '{"pdus":['

type Body = { first: string; piece: string; last: string; bytes: number }

/** Writes with back-pressure. */
function send(response: ServerResponse, { first, piece, last, bytes }: Body): void {
  let sent = first.length
  response.write(first)
  const go = () => {
    while (sent < bytes) {
      sent += piece.length
      if (response.destroyed) return
      if (!response.write(piece)) return void response.once('drain', go)
    }
    response.end(last)
  }
  go()
}
