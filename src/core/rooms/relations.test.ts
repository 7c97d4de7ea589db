import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../pdu.ts'
import { type EditedEvent, isValidEdit, relationOf, repliedTo } from './relations.ts'

const related = (relatesTo: unknown): JsonObject => ({ 'm.relates_to': relatesTo }) as JsonObject

describe('relationOf', () => {
  it.each([
    [
      { rel_type: 'm.thread', event_id: '$a' },
      { rel_type: 'm.thread', event_id: '$a' },
    ],
    [
      { rel_type: 'm.annotation', event_id: '$a', key: '👍' },
      { rel_type: 'm.annotation', event_id: '$a', key: '👍' },
    ],
    [
      { rel_type: 'm.annotation', event_id: '$a', key: 1 },
      { rel_type: 'm.annotation', event_id: '$a' },
    ],
    [
      { rel_type: 'm.thread', event_id: '$a', 'm.in_reply_to': { event_id: '$b' } },
      { rel_type: 'm.thread', event_id: '$a' },
    ],
    [{ 'm.in_reply_to': { event_id: '$b' } }, undefined],
    [{ rel_type: 'm.thread' }, undefined],
    [{ event_id: '$a' }, undefined],
    [{ rel_type: '', event_id: '$a' }, undefined],
    [{ rel_type: 1, event_id: '$a' }, undefined],
    [{ rel_type: 'm.thread', event_id: 'a' }, undefined],
    [{ rel_type: 'm.thread', event_id: 7 }, undefined],
    [[], undefined],
    [null, undefined],
    ['$a', undefined],
  ])('%j', (relatesTo, relation) => {
    expect(relationOf(related(relatesTo))).toEqual(relation)
  })
})

describe('repliedTo', () => {
  it.each([
    [{ 'm.in_reply_to': { event_id: '$b' } }, '$b'],
    [{ rel_type: 'm.thread', event_id: '$a', 'm.in_reply_to': { event_id: '$b' } }, '$b'],
    [{ rel_type: 'm.thread', event_id: '$a', is_falling_back: true, 'm.in_reply_to': { event_id: '$b' } }, undefined],
    [{ 'm.in_reply_to': { event_id: 'b' } }, undefined],
    [{ 'm.in_reply_to': '$b' }, undefined],
    [{ 'm.in_reply_to': null }, undefined],
    [null, undefined],
  ])('%j', (relatesTo, eventId) => {
    expect(repliedTo(related(relatesTo))).toBe(eventId)
  })

  it('and relationOf take any content', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        repliedTo(related(value))
        relationOf(related(value))
        expect(relationOf({ other: value } as JsonObject)).toBeUndefined()
      }),
    )
  })
})

describe('isValidEdit', () => {
  const original: EditedEvent = {
    event_id: '$original',
    room_id: '!room:x',
    type: 'm.room.message',
    sender: '@a:x',
    content: { body: 'one' },
  }
  const relatesTo = { rel_type: 'm.replace', event_id: '$original' }
  const edit: EditedEvent = {
    ...original,
    event_id: '$edit',
    content: { body: '* two', 'm.new_content': { body: 'two' }, 'm.relates_to': relatesTo },
  }

  it('accepts one that keeps to the rules', () => {
    expect(isValidEdit(original, edit)).toBe(true)
  })

  it.each<[string, Partial<EditedEvent>, Partial<EditedEvent>]>([
    ['another room', {}, { room_id: '!other:x' }],
    ['another sender', {}, { sender: '@b:x' }],
    ['another type', {}, { type: 'm.sticker' }],
    ['a state event as edit', {}, { state_key: '' }],
    ['a state event as original', { state_key: '' }, {}],
    ['an edit as original', { content: { 'm.relates_to': { rel_type: 'm.replace', event_id: '$x' } } }, {}],
    ['no new content', {}, { content: { 'm.relates_to': relatesTo } }],
    ['new content that is no object', {}, { content: { 'm.relates_to': relatesTo, 'm.new_content': 'two' } }],
    ['another original', { event_id: '$other' }, {}],
    [
      'another relation',
      {},
      { content: { ...edit.content, 'm.relates_to': { rel_type: 'm.thread', event_id: '$original' } } },
    ],
    ['no relation', {}, { content: { 'm.new_content': {} } }],
  ])('refuses %s', (_what, original_, edit_) => {
    expect(isValidEdit({ ...original, ...original_ }, { ...edit, ...edit_ })).toBe(false)
  })

  it('accepts an original that is in a thread', () => {
    const inThread = { ...original, content: { 'm.relates_to': { rel_type: 'm.thread', event_id: '$root' } } }
    expect(isValidEdit(inThread, edit)).toBe(true)
  })

  it('leaves the new content of encrypted events to the clients', () => {
    const type = 'm.room.encrypted'
    expect(isValidEdit({ ...original, type }, { ...edit, type, content: { 'm.relates_to': relatesTo } })).toBe(true)
  })
})
