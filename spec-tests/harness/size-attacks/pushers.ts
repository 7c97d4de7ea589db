import { expect } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, sendText } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { setPusher, startPushGateway } from '../push-gateway.ts'
import { joinRoom } from '../rooms.ts'

const ATTACKERS = 7
/** The maximum per user in these tests. */
const PUSHERS = 3

/** Push gateways of hostile users. */
export const hostilePushers: Attack[] = [
  {
    name: 'gateways that do not answer hold up no other one',
    async attempt({ url, roomId, alice }) {
      const [silent, gateway] = [await startPushGateway(), await startPushGateway()]
      silent.answer.status = 0
      try {
        const attackers = await Promise.all(Array.from({ length: ATTACKERS }, () => registerUser(url)))
        for (const attacker of attackers) {
          await joinRoom(roomId, attacker)
          for (let place = 0; place < PUSHERS; place++) await setPusher(attacker, silent, `${attacker.userId}${place}`)
        }
        const victim = await registerUser(url)
        await joinRoom(roomId, victim)
        await setPusher(victim, gateway, 'victim')
        await sendText(alice, roomId, 'first')
        await pollUntil('the silent one is asked', () => silent.received.length === ATTACKERS * PUSHERS)
        await sendText(alice, roomId, 'second')
        const bodies = () => gateway.received.map(({ content }) => content?.body)
        await pollUntil('the other one is told', () => bodies().includes('second'), 5000)
        expect(bodies()).toEqual(['first', 'second'])
        for (const attacker of attackers) await attacker.post('/_matrix/client/v3/logout')
      } finally {
        await Promise.all([silent.close(), gateway.close()])
      }
    },
  },
]
