import { expect, test } from 'vitest'
import type { RoomId, ServerName } from '../../core/ids.ts'
import { ROOM_VERSIONS } from '../../core/room-versions.ts'
import { FederationError } from '../../infra/federation-error.ts'
import { fromAny } from './fetch-references.ts'

const [FIRST, SECOND, THIRD] = ['first', 'second', 'third'] as ServerName[] as [ServerName, ServerName, ServerName]
const source = {
  server: FIRST,
  others: [SECOND, THIRD],
  roomId: '!room' as RoomId,
  version: ROOM_VERSIONS.get('12')!,
  signal: new AbortController().signal,
}

/** Asks, where each server answers as `answers` says. */
async function ask(answers: Record<string, Error | string>) {
  const asked: string[] = []
  const answer = await fromAny(source, async ({ server }) => {
    asked.push(server)
    const said = answers[server]!
    if (said instanceof Error) throw said
    return said
  })
  return { asked, answer }
}

test('other servers are asked when one cannot be reached or does not know, and no more than are needed', async () => {
  const [down, unknown] = [new FederationError('down'), new FederationError('unknown', { status: 404 })]
  expect(await ask({ first: 'one', second: 'two' })).toEqual({ asked: [FIRST], answer: 'one' })
  expect(await ask({ first: down, second: unknown, third: 'three' })).toEqual({
    asked: [FIRST, SECOND, THIRD],
    answer: 'three',
  })
  await expect(ask({ first: unknown, second: down, third: unknown })).rejects.toBe(down)
  await expect(
    ask({ first: unknown, second: new FederationError('other', { status: 403 }), third: unknown }),
  ).rejects.toBe(unknown)
  const fault = new TypeError('of ours')
  await expect(ask({ first: fault, second: 'two' })).rejects.toBe(fault)
})
