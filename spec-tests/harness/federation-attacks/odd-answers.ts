import type { ServerResponse } from 'node:http'
import { expect } from 'vitest'
import type { UserId } from '../../../testing/matrix/pdu.ts'
import { pollUntil } from '../../../testing/poll-until.ts'
import { sendText } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { answerBadly, answerWith } from '../lying-server.ts'
import { v3 } from '../rooms.ts'
import { startStub } from '../stub-server.ts'
import { visitRoom } from '../visit-room.ts'
import { name, newMallory } from './mallory.ts'

/**
 * Returns a row about a destination with invalid responses to transactions, which must not delay other destinations.
 */
function poisoned(what: string, respond: (response: ServerResponse) => unknown): Attack {
  return {
    name: `a destination that ${what}: others hear meanwhile, and it does once it answers`,
    async attempt(world) {
      const bad = await newMallory(world)
      await visitRoom(bad.peer, world.home, { roomId: world.roomId })
      bad.peer.lie('send', (_, response) => respond(response))
      const heard = (id: string) => () => world.peer.received.some(({ pdus }) => JSON.stringify(pdus).includes(id))
      for (const body of ['one', 'two', 'three']) {
        const sent = `${body} ${Math.random()}`
        await sendText(world.alice, world.roomId, sent)
        await pollUntil('the other server hears it', heard(sent))
      }
      bad.peer.lie('send', undefined)
    },
  }
}

export const OUTBOX_ATTACKS: Attack[] = [
  poisoned('never answers', (response) => answerBadly(response, 'silent')),
  poisoned('answers a byte at a time', (response) => answerBadly(response, 'trickling')),
  poisoned('wants to be left alone for a thousand years', (response) =>
    answerWith(response, 429, { errcode: 'M_LIMIT_EXCEEDED', error: 'no', retry_after_ms: 2 ** 50 }),
  ),
  poisoned('refuses ten thousand events that nobody sent', () => ({
    pdus: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`$${i}`, { error: '\u0000\u001b[31m' }])),
  })),
  poisoned('sends us to ourselves', (response) =>
    response.writeHead(307, { location: 'https://localhost/_matrix/federation/v1/send/x' }).end(),
  ),
]

/**
 * Returns a row about a server with invalid HTTP responses. The client gets a prompt error response, and the server is
 * asked again.
 */
function oddHttp(what: string, statuses: readonly number[], respond: (response: ServerResponse) => void): Attack {
  return {
    name: `an answer ${what}`,
    async attempt(world) {
      const stub = await startStub(world.federation, (_, response) => respond(response))
      for (const user of ['x', 'y'] as UserId[]) {
        const { status } = await world.alice.ask('GET', `${v3}/profile/${name(`@${user}:${stub.name}`)}`)
        expect(statuses).toContain(status)
      }
      stub.close()
    },
  }
}

export const HTTP_ATTACKS: Attack[] = [
  oddHttp('with a header of 64 KiB', [502], ({ req: { socket } }) =>
    socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(65_536)}\r\nContent-Length: 2\r\n\r\n{}`),
  ),
  oddHttp('with ten thousand headers', [502], ({ req: { socket } }) =>
    socket.write(`HTTP/1.1 200 OK\r\n${'X: x\r\n'.repeat(10_000)}Content-Length: 2\r\n\r\n{}`),
  ),
  oddHttp('after a thousand that say that more is to come', [200, 502], ({ req: { socket } }) =>
    socket.write(`${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`),
  ),
  oddHttp('with another one behind it', [200, 502], ({ req: { socket } }) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}'),
  ),
  oddHttp('of two lengths', [502], ({ req: { socket } }) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 200\r\n\r\n{}'),
  ),
  oddHttp('that is no HTTP', [502], ({ req: { socket } }) => socket.write('SSH-2.0-OpenSSH_9\r\n')),
  oddHttp('that wants to speak another protocol', [502], ({ req: { socket } }) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n'),
  ),
]
