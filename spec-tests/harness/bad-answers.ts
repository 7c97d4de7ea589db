import type { ServerResponse } from 'node:http'

const PIECE = 64 * 1024
const TRICKLE_MS = 200
const HUGE_BYTES = 64 * 1024 * 1024

/** How a server may answer a request so that nothing can be done with it. */
export const BAD_ANSWERS = {
  /** It never begins. */
  silent: () => {},
  /** It begins, and nothing more comes. */
  stalled: (response) => void response.writeHead(200).write('{'),
  /** A byte now and then, for ever. */
  trickling(response) {
    response.writeHead(200).write('{"pdus":[')
    const timer = setInterval(() => response.write(' '), TRICKLE_MS)
    response.once('close', () => clearInterval(timer))
  },
  /** The connection ends in the middle. */
  cut: (response) =>
    void response.writeHead(200, { 'content-length': 1000 }).write('{"pdus":[', () => response.destroy()),
  'no JSON': (response) => void response.writeHead(200).end('<html>'),
  null: (response) => void response.writeHead(200).end('null'),
  'a list': (response) => void response.writeHead(200).end('[[],{},null,"x",5]'),
  'of wrong types': (response) => void response.writeHead(200).end(WRONG_TYPES),
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
  /** An error whose explanation does not end. */
  'an endless error': (response) => {
    response.statusCode = 404
    send(response, { first: '{"errcode":"', piece: 'M'.repeat(PIECE), last: '', bytes: Infinity })
  },
  'a server error': (response) => void response.writeHead(503).end('{"errcode":"M_UNKNOWN","error":"no"}'),
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
]
const WRONG_TYPES = JSON.stringify(
  Object.fromEntries(KEYS.map((key, i) => [key, [5, null, [1, {}], { a: 1 }, 'x'][i % 5]])),
)
const DEEP = `{"pdus":${'['.repeat(50_000)}${']'.repeat(50_000)},"displayname":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`
const HUGE_LIST_START = '{"pdus":['

type Body = { first: string; piece: string; last: string; bytes: number }

/** Writes as fast as the other side reads. */
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
