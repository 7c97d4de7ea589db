import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultConfig } from '../../config.ts'
import { checkTurn, parseTurnUri } from './calls-turn.ts'

/** Answers STUN requests by UDP; by TCP it answers something else. */
const udp = createSocket('udp4')
const tcp = createServer((socket) => socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
let port: number
beforeAll(async () => {
  udp.on('message', (request, { port: from, address }) => {
    const answer = Buffer.from(request)
    answer.writeUInt16BE(0x0101, 0)
    udp.send(answer, from, address)
  })
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve))
  port = udp.address().port
  await new Promise<void>((resolve) => tcp.listen(port, '127.0.0.1', resolve))
})
afterAll(() => {
  udp.close()
  tcp.close()
})

test.each([
  ['turn:turn.example.org', { host: 'turn.example.org', port: 3478, transport: 'udp' }],
  ['turn:turn.example.org:80?transport=tcp', { host: 'turn.example.org', port: 80, transport: 'tcp' }],
  ['turns:turn.example.org?transport=tcp', { host: 'turn.example.org', port: 5349, transport: 'tls' }],
  ['stun:[2001:db8::1]:3479', { host: '2001:db8::1', port: 3479, transport: 'udp' }],
  ['turn:', undefined],
])('%s is an address', (uri, address) => {
  expect(parseTurnUri(uri)).toEqual(address)
})

test('a TURN server that answers is found, and one that does not', async () => {
  const uris = [`turn:127.0.0.1:${port}?transport=udp`, `turn:127.0.0.1:${port}?transport=tcp`]
  const findings = await checkTurn(defaultConfig({ turn: { uris, username: 'all', password: 'secret' } }))
  expect(findings.map(({ level, what }) => [level, what])).toEqual([
    ['good', `The TURN server ${uris[0]} answers`],
    ['problem', `The TURN server ${uris[1]} does not answer: its answer is not STUN.`],
    ['warning', 'All users share one user name and password of the TURN server.'],
  ])
  expect((await checkTurn(defaultConfig()))[0]).toMatchObject({ level: 'warning' })
})
