import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidParamError } from './errors.ts'
import {
  domainOf,
  isEventId,
  isRoomAlias,
  isRoomId,
  isServerName,
  isStrictLocalpart,
  isUserId,
  isWithin255Bytes,
  localpartOf,
  parseRoomAlias,
  parseUserId,
  type RoomAlias,
  serverNameOf,
  type UserId,
} from './ids.ts'

const HASH = 'Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ'

describe('isServerName', () => {
  it.each([
    'matrix.org',
    'matrix.org:8888',
    '1.2.3.4',
    '1.2.3.4:1234',
    '[1234:5678::abcd]',
    '[1234:5678::abcd]:5678',
    '[::1]',
    '[::ffff:1.2.3.4]:1',
    'localhost',
    'MATRIX.org',
    'a-b.c',
  ])('takes %s', (name) => expect(isServerName(name)).toBe(true))

  it.each([
    '',
    ':80',
    'matrix.org:',
    'matrix.org:123456',
    'matrix.org:8a',
    'matrix.org:80:80',
    'matrix_org',
    'matrix.org/',
    'user@matrix.org',
    'matrix.org ',
    'mätrix.org',
    '256.1.1.1',
    '1.2.3.999:80',
    '1::2',
    '[1::2',
    '[:::]',
    '[1:2:3]',
    '[g::1]',
    '[]',
    'a\n',
    'x'.repeat(256),
  ])('refuses %j', (name) => expect(isServerName(name)).toBe(false))
})

describe('user ids', () => {
  it('splits at the first colon', () => {
    expect(parseUserId('@alice:example.org:8448')).toEqual({ localpart: 'alice', serverName: 'example.org:8448' })
    expect(parseUserId('@alice:[::1]:8448')).toEqual({ localpart: 'alice', serverName: '[::1]:8448' })
  })

  it.each(['@:example.org', '@Ali ce:example.org', '@ä€😀\n:example.org', `@${'a'.repeat(242)}:example.org`])(
    'takes the historical %j',
    (id) => expect(isUserId(id)).toBe(true),
  )

  it.each([
    '',
    '@',
    '@alice',
    'alice:example.org',
    '@alice:',
    '@alice:exa mple',
    '@al\0ice:example.org',
    '@\ud800:example.org',
    '#alice:example.org',
    `@${'a'.repeat(243)}:example.org`,
    `@${'€'.repeat(81)}:example.org`,
  ])('refuses %j', (id) => expect(isUserId(id)).toBe(false))

  it('allows new localparts only the characters of the grammar', () => {
    expect(['alice', 'a.b_c=d-e/f+9'].every(isStrictLocalpart)).toBe(true)
    expect(['', 'Alice', 'a b', 'ä', 'a:b', 'a\n'].some(isStrictLocalpart)).toBe(false)
  })
})

describe('room ids', () => {
  it('have a domain or are a hash', () => {
    expect([`!${HASH}`, '!abc:example.org', '!:example.org', '!a b€:example.org:80'].every(isRoomId)).toBe(true)
    expect(['!', '!abc', `!${HASH}x`, `!${HASH.slice(1)}+`, '!abc:', `$${HASH}`, '!a\0:b'].some(isRoomId)).toBe(false)
  })
})

describe('room aliases', () => {
  it('have a localpart and a domain', () => {
    expect(parseRoomAlias('#sala da tè:example.org')).toEqual({ localpart: 'sala da tè', serverName: 'example.org' })
    expect(['#', '#room', 'room:example.org', '#room:', '#ro\0om:example.org'].some(isRoomAlias)).toBe(false)
  })
})

describe('event ids', () => {
  it('are opaque', () => {
    expect([`$${HASH}`, '$a/b+c', '$1234:example.org'].every(isEventId)).toBe(true)
    expect(['', '$', HASH, `$${'a'.repeat(255)}`, '$a\0', '$\udc00'].some(isEventId)).toBe(false)
  })
})

describe('the parts of an id', () => {
  it('come from the whole', () => {
    const alice = '@alice:example.org:80' as UserId
    expect([localpartOf(alice), serverNameOf(alice)]).toEqual(['alice', 'example.org:80'])
    expect(serverNameOf('#a:b' as RoomAlias)).toBe('b')
    expect(() => serverNameOf('@alice' as UserId)).toThrow(InvalidParamError)
    expect(() => localpartOf('@alice' as UserId)).toThrow(InvalidParamError)
  })

  it('may have no domain', () => {
    expect([domainOf('$1:example.org'), domainOf(`$${HASH}`), domainOf('!a:b c')]).toEqual([
      'example.org',
      undefined,
      undefined,
    ])
  })

  it('are those it was made of', () => {
    const localpart = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/[:\0]/.test(text))
    const serverName = fc
      .oneof(
        fc.domain(),
        fc.ipV4(),
        fc.ipV6().map((ip) => `[${ip}]`),
      )
      .filter((name) => name.length < 150)
    fc.assert(
      fc.property(localpart, serverName, fc.option(fc.nat(65_535)), (local, host, port) => {
        const name = port === null ? host : `${host}:${port}`
        expect(parseUserId(`@${local}:${name}`)).toEqual({ localpart: local, serverName: name })
      }),
    )
  })
})

describe('any string', () => {
  it('is judged without throwing', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('@', '!', '$', '#', ':', '[', ']', '.', '1', 'a', '\0', '\ud800', '€') }),
    )
    fc.assert(
      fc.property(text, (id) => {
        const verdicts = [isUserId, isRoomId, isRoomAlias, isEventId, isServerName, isStrictLocalpart].map((is) =>
          is(id),
        )
        expect(verdicts.every((verdict) => typeof verdict === 'boolean')).toBe(true)
        if (isUserId(id)) expect(`@${localpartOf(id)}:${serverNameOf(id)}`).toBe(id)
      }),
      { numRuns: 1000 },
    )
  })

  it('has its UTF-8 bytes counted', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'ä', '€', '😀'), minLength: 60, maxLength: 260 }), (text) => {
        expect(isWithin255Bytes(text)).toBe(new TextEncoder().encode(text).length <= 255)
      }),
    )
  })
})
