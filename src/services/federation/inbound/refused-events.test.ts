import { expect, onTestFinished, test } from 'vitest'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { findRefusalReason, listRefusedEvents } from '../../../storage/rooms/timeline/refused-events.ts'
import { ALICE } from '../../../testing/reading-room.ts'
import { BORIS, createAppWithRemote, createSharedRoom } from '../../../testing/remote-server.ts'

test('refused events are listed with their reasons, those that came last first', async () => {
  const app = await createAppWithRemote()
  onTestFinished(() => app.close())
  const refuse = async () => {
    const { roomId, make, receive, message, member } = await createSharedRoom(app)
    const kept = await message(ALICE, 'kept')
    const name = await make({ type: 'm.room.name', state_key: '', content: { name: 'not allowed' } })
    expect((await receive(name)).outcome).toBe('rejected')
    const redaction = await make({
      ...{ type: 'm.room.redaction', redacts: kept.event_id, content: { redacts: kept.event_id } },
    })
    await receive(redaction)
    const late = await make({ content: { body: 'sent before the ban' } })
    await member(BORIS, 'ban', ALICE)
    expect((await receive(late)).outcome).toBe('soft-failed')
    return { roomId, name, redaction, late, kept }
  }
  const [first, second] = [await refuse(), await refuse()]
  const list = (query: Partial<Parameters<typeof listRefusedEvents>[1]>) =>
    listRefusedEvents(app.database, { roomId: null, outcome: null, beyond: null, limit: 10, ...query })
  const ids = (events: readonly { event_id: string }[]) => events.map(({ event_id }) => event_id)

  const ofSecond = await list({ roomId: second.roomId })
  expect(ofSecond).toMatchObject([
    {
      event_id: second.late.event_id,
      outcome: 'soft_failed',
      sender: BORIS,
      reason: expect.stringContaining('by the current state: '),
    },
    { event_id: second.redaction.event_id, outcome: 'soft_failed', reason: expect.stringContaining('redaction') },
    {
      event_id: second.name.event_id,
      outcome: 'rejected',
      type: 'm.room.name',
      reason: expect.stringContaining('by its auth events: '),
    },
  ])
  const all = await list({})
  expect(ids(all)).toEqual([...ids(ofSecond), ...ids(await list({ roomId: first.roomId }))])
  expect(ids(await list({ beyond: all[1]!.event_nid, limit: 2 }))).toEqual(ids(all.slice(2, 4)))
  expect(ids(await list({ outcome: 'rejected' }))).toEqual([second.name.event_id, first.name.event_id])
  expect(ids(await list({ outcome: 'soft_failed', roomId: first.roomId }))).toHaveLength(2)
  const [kept] = await loadEventsById(app.database, [first.kept.event_id])
  expect(await findRefusalReason(app.database, kept!.event_nid)).toBeUndefined()
})
