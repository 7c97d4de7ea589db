import { expect } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { v3 } from '../rooms.ts'
import { startSigningPeer } from '../signing-peer.ts'
import { KIB, MIB, text } from './sizes.ts'

const sendToDevice = (user: TestUser, to: string, place: number, content: object) =>
  user.put(`${v3}/sendToDevice/m.custom/${place}`, { messages: { [to]: { DEVICE: content } } })

/** Outboxes of servers that are down. */
export const fullOutboxes: Attack[] = [
  {
    name: 'large messages to devices of a server that is down',
    async attempt({ url, federation, home }) {
      const [attacker, other] = [await registerUser(url), await registerUser(url)]
      const down = await startSigningPeer(federation, { isUnchecked: true })
      down.isDown = true
      await sendToDevice(other, down.userId, 0, { name: 'small' })
      for (let place = 0; place < 25; place++)
        await sendToDevice(attacker, down.userId, place, { padding: text(200 * KIB) })
      await sendToDevice(other, down.userId, 1, { name: 'last' })
      down.isDown = false
      const body = { origin: down.serverName, origin_server_ts: Date.now(), pdus: [] }
      await down.ask(home, 'PUT', '/_matrix/federation/v1/send/back', body)
      const messages = () => down.received.flatMap(({ edus }) => edus.map(({ content }) => content))
      const isTold = (name: string) => messages().some((message) => JSON.stringify(message).includes(name))
      await pollUntil('the last message arrives', async () => isTold('last'))
      expect(isTold('small')).toBe(true)
      const ofAttacker = messages().filter(({ sender }) => sender === attacker.userId)
      expect(JSON.stringify(ofAttacker).length).toBeLessThan(2 * MIB)
    },
  },
]
