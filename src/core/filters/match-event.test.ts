import { describe, expect, it } from 'vitest'
import type { RoomEventFilter } from './filter-schema.ts'
import { compileEventFilter, compileRoomEventFilter, compileRoomFilter, type FilteredEvent } from './match-event.ts'

const message: FilteredEvent = { type: 'm.room.message', sender: '@a:x', room_id: '!r:x', content: { body: 'hi' } }
const picture: FilteredEvent = { ...message, content: { url: 'mxc://x/y' } }

describe('compileRoomEventFilter', () => {
  it.each<[RoomEventFilter, FilteredEvent, boolean]>([
    [{}, message, true],
    [{ types: ['m.room.message'] }, message, true],
    [{ types: ['m.room.member'] }, message, false],
    [{ types: [] }, message, false],
    [{ types: ['m.room.*'] }, message, true],
    [{ types: ['*'] }, message, true],
    [{ types: ['*.message'] }, message, true],
    [{ types: ['m.*.mess*'] }, message, true],
    [{ types: ['m.room.messag?'] }, message, false],
    [{ types: ['M.ROOM.MESSAGE'] }, message, false],
    [{ not_types: ['m.room.message'] }, message, false],
    [{ not_types: ['m.room.mem*'] }, message, true],
    [{ not_types: ['*'] }, message, false],
    [{ not_types: [] }, message, true],
    [{ types: ['m.room.message'], not_types: ['m.room.*'] }, message, false],
    [{ senders: ['@a:x'] }, message, true],
    [{ senders: ['@b:x'] }, message, false],
    [{ senders: [] }, message, false],
    [{ not_senders: ['@a:x'] }, message, false],
    [{ senders: ['@a:x'], not_senders: ['@a:x'] }, message, false],
    [{ not_senders: ['@*:x'] }, message, true],
    [{ rooms: ['!r:x'] }, message, true],
    [{ rooms: ['!s:x'] }, message, false],
    [{ not_rooms: ['!r:x'] }, message, false],
    [{ rooms: ['!r:x'], not_rooms: ['!r:x'] }, message, false],
    [{ contains_url: true }, message, false],
    [{ contains_url: true }, picture, true],
    [{ contains_url: false }, message, true],
    [{ contains_url: false }, picture, false],
    [{ related_by_rel_types: ['m.thread'], limit: 1, lazy_load_members: true }, message, true],
    [{ senders: ['@a:x'] }, { type: 'm.typing', room_id: '!r:x', content: {} }, false],
    [{ not_senders: ['@a:x'] }, { type: 'm.typing', room_id: '!r:x', content: {} }, true],
  ])('%j on %j: %j', (filter, event, taken) => {
    expect(compileRoomEventFilter(filter)(event)).toBe(taken)
  })
})

describe('compileEventFilter', () => {
  it('is for events without a room', () => {
    const takes = compileEventFilter({ types: ['m.push_rules', 'org.*'] })
    expect(takes({ type: 'm.push_rules', content: {} })).toBe(true)
    expect(takes({ type: 'org.example', content: {} })).toBe(true)
    expect(takes({ type: 'm.direct', content: {} })).toBe(false)
  })
})

describe('compileRoomFilter', () => {
  it.each([
    [{}, true],
    [{ rooms: ['!r:x'] }, true],
    [{ rooms: [] }, false],
    [{ not_rooms: ['!r:x'] }, false],
  ])('%j: %j', (filter, taken) => {
    expect(compileRoomFilter(filter)('!r:x')).toBe(taken)
  })
})
