import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { ServerName } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import type { Pdu } from '../../../core/pdu.ts'
import { createTransactionTexts } from './transaction-text.ts'

const { textOf } = createTransactionTexts()

const pdu = (body: string) =>
  ({ type: 'm.room.message', room_id: '!r:x', content: { body, b: 1.5, a: null }, depth: 3 }) as unknown as Pdu

test('a transaction is the canonical JSON of all that is in it', () => {
  const from = { origin: 'x:8448' as ServerName, origin_server_ts: 1_700_000_000_000 }
  const pdus = [pdu('one "ü"'), pdu('two')]
  const edu = { edu_type: 'm.test', content: { z: [1, { y: 2, x: 3 }], a: '"' } }
  const whole = { ...from, pdus, edus: [edu] }
  const stored = { ...from, pdus, edus: [{ edu_type: edu.edu_type, content: JSON.stringify(edu.content) }] }
  expect(textOf(stored)).toBe(canonicalJson(whole, { strict: false }))
  // The second time events come from the cache.
  expect(textOf(stored)).toBe(canonicalJson(whole, { strict: false }))
  expect(textOf({ ...from, pdus: [], edus: [] })).toBe(canonicalJson({ ...from, pdus: [], edus: [] }))
})

test('remembered events take the memory that is meant for them', () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const from = { origin: 'x' as ServerName, origin_server_ts: 1, edus: [] }
  const send = (count: number) => {
    for (let i = 0; i < count; i++) textOf({ ...from, pdus: [wholePdu(i)] })
  }
  send(10)
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  send(20_000)
  collectGarbage()
  const mebibytes = (process.memoryUsage().heapUsed - before) / 1024 / 1024
  expect(mebibytes).toBeLessThan(18)
})

/** Like those of rooms: with references and signatures, each parsed from JSON of its own. */
function wholePdu(i: number): Pdu {
  const id = (kind: string) => `$${kind}${i}`.padEnd(44, 'x')
  return JSON.parse(
    JSON.stringify({
      ...pdu(`message ${i}`),
      auth_events: ['create', 'power', 'member'].map(id),
      prev_events: [id('previous')],
      sender: `@user${i}:x`,
      origin_server_ts: 1_700_000_000_000 + i,
      hashes: { sha256: id('hash') },
      signatures: { x: { 'ed25519:1': id('signature').repeat(2) } },
    }),
  )
}
