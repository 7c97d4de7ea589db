import { expect, test } from 'vitest'
import { canonicalJson } from '../../core/canonical-json.ts'
import type { Pdu } from '../../core/events/pdu.ts'
import type { ServerName } from '../../core/ids.ts'
import { transactionText } from './transaction-text.ts'

const pdu = (body: string) =>
  ({ type: 'm.room.message', room_id: '!r:x', content: { body, b: 1.5, a: null }, depth: 3 }) as unknown as Pdu

test('a transaction is the canonical JSON of all that is in it', () => {
  const from = { origin: 'x:8448' as ServerName, origin_server_ts: 1_700_000_000_000 }
  const pdus = [pdu('one "ü"'), pdu('two')]
  const edu = { edu_type: 'm.test', content: { z: [1, { y: 2, x: 3 }], a: '"' } }
  const whole = { ...from, pdus, edus: [edu] }
  const stored = { ...from, pdus, edus: [{ edu_type: edu.edu_type, content: JSON.stringify(edu.content) }] }
  expect(transactionText(stored)).toBe(canonicalJson(whole, { strict: false }))
  // The second time events are remembered.
  expect(transactionText(stored)).toBe(canonicalJson(whole, { strict: false }))
  expect(transactionText({ ...from, pdus: [], edus: [] })).toBe(canonicalJson({ ...from, pdus: [], edus: [] }))
})
