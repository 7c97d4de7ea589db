import { expect, test } from 'vitest'
import type { JsonObject } from '../pdu.ts'
import { fitMember, fitStrippedState } from './stripped-state.ts'

const event = (type: string, bytes = 0, key = ''): JsonObject => ({
  type,
  state_key: key,
  sender: '@a:x',
  content: { padding: 'x'.repeat(bytes) },
})
const types = (events: readonly JsonObject[]) => events.map(({ type }) => type)

test('stripped state that fits stays as it is', () => {
  const events = [event('org.example'), event('m.room.topic', 100), event('m.room.create')]
  expect(fitStrippedState(events, 10_000)).toEqual(events)
})

test('if not all events fit, the important ones are kept, in order', () => {
  const events = [event('org.example'), event('m.room.topic', 900), event('m.room.name'), event('m.room.create')]
  expect(types(fitStrippedState(events, 300))).toEqual(['org.example', 'm.room.name', 'm.room.create'])
  expect(types(fitStrippedState(events, 200))).toEqual(['m.room.name', 'm.room.create'])
})

test('a large important event does not cost the small ones their place', () => {
  const events = [event('m.room.create', 60_000), event('m.room.name'), event('m.room.avatar')]
  expect(types(fitStrippedState(events, 1000))).toEqual(['m.room.name', 'm.room.avatar'])
})

test('a member event loses what is not needed', () => {
  const content = {
    membership: 'invite',
    displayname: 'x'.repeat(60_000),
    is_direct: true,
    'org.example': 'y'.repeat(900),
  }
  const member = { ...event('m.room.member', 0, '@b:x'), content }
  expect(fitMember(member, 100_000)).toEqual(member)
  expect(fitMember(member, 4096)).toEqual({
    ...member,
    content: { membership: 'invite', displayname: 'x'.repeat(256), is_direct: true },
  })
})
