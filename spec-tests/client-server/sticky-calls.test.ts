import type { MatrixClient } from 'matrix-js-sdk'
import { expect, inject, onTestFinished, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { createRoom, joinRoom, syncedRoom } from '../harness/rooms.ts'
import { startSdk } from '../harness/sdk.ts'

/** Sticky events as matrix-js-sdk keeps them for calls: https://github.com/matrix-org/matrix-spec-proposals/pull/4354 */
const { url } = inject('homeserver')
const TYPE = 'org.matrix.msc4143.rtc.member'

async function clientOf(user: TestUser): Promise<MatrixClient> {
  const client = await startSdk(user)
  onTestFinished(() => client.stopClient())
  return client
}

const membersIn = (client: MatrixClient, roomId: string) =>
  [...(client.getRoom(roomId)?._unstable_getStickyEvents() ?? [])].map((event) => {
    const { msc4354_sticky_key: key, slot_id: slot } = event.getContent()
    return `${event.getSender()} ${key} ${slot ?? 'left'}`
  })

test('the members of a call are there for a client that starts late, and change while it runs', async () => {
  const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
  const roomId = await createRoom(alice, { preset: 'public_chat' })
  await joinRoom(roomId, bob)
  const caller = await clientOf(alice)
  const enter = (slot: string | undefined) => {
    const content = { ...(slot !== undefined && { slot_id: slot }), msc4354_sticky_key: 'device' }
    return caller._unstable_sendStickyEvent(roomId, 3_600_000, null, TYPE as never, content as never)
  }
  await enter('m.call#ROOM')
  for (let number = 0; number < 25; number++) await sendText(alice, roomId, `message ${number}`)
  const late = await clientOf(bob)
  const member = (slot: string) => [`${alice.userId} device ${slot}`]
  await pollUntil('bob sees the call', () => membersIn(late, roomId).length > 0)
  expect(membersIn(late, roomId)).toEqual(member('m.call#ROOM'))
  const [event] = late.getRoom(roomId)!._unstable_getStickyEvents()
  expect(event!.unstableStickyExpiresAt - Date.now()).toBeGreaterThan(3_000_000)
  await enter(undefined)
  await pollUntil('bob sees the end', () => membersIn(late, roomId).join() === member('left').join())
  expect(membersIn(caller, roomId)).toEqual(member('left'))
  const delayed = await caller._unstable_sendStickyDelayedEvent(
    roomId,
    3_600_000,
    { delay: 1 },
    null,
    TYPE as never,
    { msc4354_sticky_key: 'delayed' } as never,
  )
  expect(delayed).toMatchObject({ delay_id: expect.any(String) })
  await pollUntil('it is sent', () => membersIn(late, roomId).includes(`${alice.userId} delayed left`))
  expect((await syncedRoom(bob, roomId)).timeline.events.at(-1).type).toBe(TYPE)
})
