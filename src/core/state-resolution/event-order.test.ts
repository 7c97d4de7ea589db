import { expect, test } from 'vitest'
import { testEvent } from '../../testing/auth-rules/test-event.ts'
import { compareByTime } from './event-order.ts'

test('by time, then by the code points of the id', () => {
  const event = (eventId: string, time: number) =>
    testEvent({ event_id: eventId, type: 'x', state_key: '', origin_server_ts: time })
  const ordered = [
    event('$z', -1),
    event('$A', 0),
    event('$a', 0),
    event('$\uFFFD', 0),
    event('$\u{1F600}', 0),
    event('$', 1),
  ]
  expect([...ordered].reverse().sort(compareByTime)).toEqual(ordered)
})
