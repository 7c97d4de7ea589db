import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MatrixError } from '../errors.ts'
import { parseFilter, parseRoomEventFilter } from './filter-schema.ts'

describe('parseFilter', () => {
  it('takes the example of the specification, and keeps what it does not know', () => {
    const filter = {
      room: {
        state: { types: ['m.room.*'], not_rooms: ['!726s6s6q:example.com'] },
        timeline: {
          limit: 10,
          types: ['m.room.message'],
          not_senders: ['@spam:example.com'],
          'org.example.x': { y: 1 },
        },
        ephemeral: { types: ['m.receipt', 'm.typing'] },
      },
      presence: { types: ['m.presence'], not_senders: ['@alice:example.com'] },
      event_format: 'client',
      event_fields: ['type', 'content', 'sender'],
      'org.example.z': true,
    }
    expect(parseFilter(filter)).toEqual(filter)
  })

  it('takes the empty filter', () => {
    expect(parseFilter({})).toEqual({})
  })

  it.each([
    ['no object', [], 'expected object'],
    ['null', null, 'expected object'],
    ['a string', 'x', 'expected object'],
    ['a fractional limit', { room: { timeline: { limit: 1.5 } } }, 'room: timeline: limit: '],
    ['a negative limit', { room: { timeline: { limit: -1 } } }, 'room: timeline: limit: '],
    ['a limit in a string', { presence: { limit: '1' } }, 'presence: limit: '],
    ['types that are no list', { account_data: { types: 'm.*' } }, 'account_data: types: '],
    ['a type that is no string', { account_data: { not_types: [1] } }, 'account_data: not_types: 0: '],
    [
      'a sender that is no user id',
      { room: { state: { senders: ['alice'] } } },
      'room: state: senders: 0: must be a user id',
    ],
    ['a room that is no room id', { room: { not_rooms: ['#a:b'] } }, 'room: not_rooms: 0: must be a room id'],
    [
      'contains_url that is no boolean',
      { room: { timeline: { contains_url: 'yes' } } },
      'room: timeline: contains_url: ',
    ],
    ['an unknown format', { event_format: 'xml' }, 'event_format: '],
    ['a part that is no object', { room: 1 }, 'room: '],
    ['a list that is too long', { presence: { types: Array(1001).fill('*') } }, 'presence: types: must not have more'],
    ['null in place of absence', { room: { timeline: null } }, 'room: timeline: '],
  ])('refuses %s, saying where', (_what, json, where) => {
    expect(() => parseFilter(json)).toThrow(where)
    expect(() => parseFilter(json)).toThrow(expect.objectContaining({ status: 400, errcode: 'M_BAD_JSON' }))
  })

  it('throws nothing but MatrixError', () => {
    const names = fc.constantFrom(
      'room',
      'timeline',
      'state',
      'types',
      'limit',
      'senders',
      'presence',
      'event_fields',
      'x',
    )
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<unknown>(null, 1, 1.5, 'x', '@a:b', true, ['@a:b'], []),
        fc.dictionary(names, tie('node')),
      ),
    })).node
    fc.assert(
      fc.property(value, (json) => {
        for (const parse of [parseFilter, parseRoomEventFilter]) {
          try {
            expect(parse(json)).toEqual(json)
          } catch (error) {
            expect(error).toBeInstanceOf(MatrixError)
          }
        }
      }),
    )
  })
})

describe('parseRoomEventFilter', () => {
  it('takes what is asked of /messages', () => {
    const filter = {
      contains_url: true,
      lazy_load_members: true,
      related_by_rel_types: ['m.thread'],
      related_by_senders: ['@a:b'],
    }
    expect(parseRoomEventFilter(filter)).toEqual(filter)
  })

  it('refuses a user that is no user id', () => {
    expect(() => parseRoomEventFilter({ related_by_senders: ['a'] })).toThrow(
      'related_by_senders: 0: must be a user id',
    )
  })
})
