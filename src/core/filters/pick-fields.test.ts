import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../pdu.ts'
import { pickFields } from './pick-fields.ts'

const event = {
  type: 'm.room.message',
  sender: '@a:x',
  content: {
    body: 'hi',
    'm.relates_to': { rel_type: 'm.thread', event_id: '$a' },
    'm\\x': 1,
    list: [{ a: 1 }],
    none: null,
  },
}

describe('pickFields', () => {
  it.each<[string[], JsonObject]>([
    [['type'], { type: 'm.room.message' }],
    [['content.body'], { content: { body: 'hi' } }],
    [
      ['content.body', 'content.m\\.relates_to.rel_type'],
      { content: { body: 'hi', 'm.relates_to': { rel_type: 'm.thread' } } },
    ],
    [['content.m.relates_to'], { content: {} }],
    [['content.m\\\\x'], { content: { 'm\\x': 1 } }],
    [['content.none'], { content: { none: null } }],
    [['content.list.0'], { content: {} }],
    [['content.body.length', 'sender'], { content: {}, sender: '@a:x' }],
    [['missing', 'missing.too'], {}],
    [['content', 'content.body'], { content: event.content }],
    [['content.body', 'content'], { content: event.content }],
    [['toString', 'constructor.name'], {}],
    [[], {}],
  ])('%j', (fields, expected) => {
    expect(pickFields(event, fields)).toEqual(expected)
  })

  it('leaves the event alone, and gives the same at the second time', () => {
    const before = structuredClone(event)
    const fields = ['content', 'content.body', 'type']
    expect(pickFields(event, fields)).toEqual(pickFields(event, fields))
    expect(event).toEqual(before)
  })

  it('picks a property named __proto__ as a property', () => {
    const hostile = JSON.parse('{"content":{"__proto__":{"x":1}}}')
    expect(JSON.stringify(pickFields(hostile, ['content.__proto__.x']))).toBe('{"content":{"__proto__":{"x":1}}}')
  })

  it('never throws, and only takes what is there', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.array(fc.string({ unit: fc.constantFrom('a', '.', '\\') })),
        (any, fields) => {
          expect(any as JsonObject).toMatchObject(pickFields(any as JsonObject, fields))
        },
      ),
    )
  })
})
