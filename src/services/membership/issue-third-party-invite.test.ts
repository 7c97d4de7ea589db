import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { sendStateLocally } from '../rooms/sending/send-state-locally.ts'
import { createRoom } from './create-room.ts'
import { issueThirdPartyInvite } from './issue-third-party-invite.ts'

const alice = '@alice:hearth.test' as UserId

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: [alice], config: { abuse: { invites: { deny: ['evil.example'] } } } })
})
afterAll(() => app.close())

test('a denied server cannot have an invite of an address exchanged', async () => {
  const roomId = await createRoom(app, alice, {})
  const content = { display_name: 'm...', public_key: 'x', key_validity_url: 'https://id.example' }
  await sendStateLocally(app, {
    ...{ roomId, sender: alice, content },
    ...{ type: 'm.room.third_party_invite', stateKey: 'token' },
  })
  const target = '@mallory:evil.example' as UserId
  const signed = { mxid: target, token: 'token', signatures: {} }
  await expect(issueThirdPartyInvite(app, { roomId, sender: alice, target, signed })).rejects.toThrow(
    'This server does not exchange invites with evil.example',
  )
})
