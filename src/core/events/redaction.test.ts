import { describe, expect, it } from 'vitest'
import type { JsonObject, Pdu } from '../pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../room-versions.ts'
import { redact } from './redaction.ts'

const versions = [...ROOM_VERSIONS.values()]

/** The keys that the specification's redaction sections list, by room version: https://spec.matrix.org/v1.19/rooms/ */
const TOP_LEVEL =
  'auth_events content depth event_id hashes origin_server_ts prev_events room_id sender signatures state_key type'
const POWER_LEVELS = 'ban events events_default kick redact state_default users users_default'
const since = (first: number, last = 12) => versions.filter(({ id }) => Number(id) >= first && Number(id) <= last)

const KEPT_CONTENT: [string, RoomVersion[], string][] = [
  ['m.room.member', since(1, 8), 'membership'],
  ['m.room.member', since(9, 10), 'membership join_authorised_via_users_server'],
  ['m.room.member', since(11), 'membership join_authorised_via_users_server third_party_invite'],
  ['m.room.create', since(1, 10), 'creator'],
  ['m.room.join_rules', since(1, 7), 'join_rule'],
  ['m.room.join_rules', since(8), 'join_rule allow'],
  ['m.room.power_levels', since(1, 10), POWER_LEVELS],
  ['m.room.power_levels', since(11), `${POWER_LEVELS} invite`],
  ['m.room.history_visibility', since(1), 'history_visibility'],
  ['m.room.aliases', since(1, 5), 'aliases'],
  ['m.room.aliases', since(6), ''],
  ['m.room.redaction', since(1, 10), ''],
  ['m.room.redaction', since(11), 'redacts'],
  ['m.room.message', since(1), ''],
  ['m.room.third_party_invite', since(1), ''],
]

/** Every content key that some version keeps, and some that none keeps. */
const content: JsonObject = Object.fromEntries(
  `membership join_authorised_via_users_server creator join_rule allow ${POWER_LEVELS} invite notifications history_visibility
  aliases redacts body displayname room_version predecessor reason third_party_invite`
    .split(/\s+/)
    .map((key) => [key, key === 'third_party_invite' ? { display_name: 'x', signed: { token: 't' } } : { of: key }]),
)

function event(type: string, changes: object = {}): Pdu {
  const keys = `${TOP_LEVEL} membership origin prev_state redacts unsigned age other`.split(' ')
  return { ...Object.fromEntries(keys.map((key) => [key, key])), type, content, ...changes } as unknown as Pdu
}

function keysOf(object: object): string[] {
  return Object.keys(object).sort()
}

describe('redact', () => {
  const rows = KEPT_CONTENT.flatMap(([type, kept, keys]) => kept.map(({ id }) => [type, id, keys] as const))

  it.each(rows)('keeps of the content of %s in room version %s: %s', (type, id, keys) => {
    const redacted = redact(ROOM_VERSIONS.get(id)!, event(type))
    expect(keysOf(redacted.content)).toEqual(keys.split(' ').filter(Boolean).sort())
    for (const key of keysOf(redacted.content)) {
      if (key !== 'third_party_invite') expect(redacted.content[key]).toEqual({ of: key })
    }
  })

  it.each(since(1, 10))('keeps three historical keys in room version $id', (version) => {
    const keys = `${TOP_LEVEL} membership origin prev_state`.split(' ').sort()
    expect(keysOf(redact(version, event('m.room.message')))).toEqual(keys)
  })

  it.each(since(11))('keeps only the keys of the event format in room version $id', (version) => {
    expect(keysOf(redact(version, event('m.room.message')))).toEqual(TOP_LEVEL.split(' ').sort())
  })

  it.each(since(11))('keeps all of m.room.create in room version $id', (version) => {
    expect(redact(version, event('m.room.create')).content).toEqual(content)
  })

  it.each(since(11))('keeps only what was signed of a third-party invite in room version $id', (version) => {
    const invite = (value: unknown) =>
      redact(version, event('m.room.member', { content: { third_party_invite: value } })).content
    expect(invite({ display_name: 'x', signed: { token: 't' } })).toEqual({
      third_party_invite: { signed: { token: 't' } },
    })
    expect(invite({ display_name: 'x' })).toEqual({ third_party_invite: {} })
    expect([invite('x'), invite([]), invite(null)]).toEqual([{}, {}, {}])
  })

  it.each(versions)('adds nothing and changes nothing in room version $id', (version) => {
    const bare = { type: 'm.room.power_levels', content: {}, sender: '@a:b' } as unknown as Pdu
    expect(redact(version, bare)).toEqual(bare)
    const full = event('m.room.member')
    const before = structuredClone(full)
    const redacted = redact(version, full)
    expect(full).toEqual(before)
    expect(redact(version, redacted)).toEqual(redacted)
  })
})
