import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { OutgoingAnswer, OutgoingHttp } from './outgoing-http.ts'
import { createSpamChecks, type SpamCheckOptions } from './spam-checks.ts'

type Name = 'create' | 'join'
const OPTIONS: SpamCheckOptions<Name> = {
  ...{ url: 'http://spam', checks: ['create', 'join'], without_waiting: [], fail_open: ['join'] },
  ...{ timeout: 50, max_concurrent: 1 },
}

/** Creates checks whose service answers as `post` does, and returns what it was asked. */
function checking(post: () => Promise<OutgoingAnswer>, options: Partial<SpamCheckOptions<Name>> = {}) {
  const asked: string[] = []
  const postJson: OutgoingHttp['postJson'] = (url) => {
    asked.push(url)
    return post()
  }
  const http = { postJson } as OutgoingHttp
  const stopping = new AbortController().signal
  return {
    asked,
    ...createSpamChecks({ ...OPTIONS, ...options }, { http, logger: pino({ level: 'silent' }), stopping }),
  }
}

const never = () => new Promise<OutgoingAnswer>(() => {})
const said = (status: number, body: unknown) => async () => ({ status, body })

test('checks that are not configured cost nothing', async () => {
  const { check, asked, has } = checking(never, { checks: ['join'] })
  await check('create', () => {
    throw new Error('is not described')
  })
  expect([has('create'), has('join'), asked]).toEqual([false, true, []])
})

test('a check whose answer is not awaited allows everything', async () => {
  const { check, asked } = checking(said(400, {}), { without_waiting: ['create'] })
  await check('create', () => ({}))
  expect(asked).toEqual(['http://spam/create'])
})

test.each([
  [{}, { errcode: 'M_FORBIDDEN', error: 'The server does not allow this' }],
  [
    { errcode: 'not a code', error: 7 },
    { errcode: 'M_FORBIDDEN', error: 'The server does not allow this' },
  ],
  [
    { errcode: 'M_LIMIT_EXCEEDED', error: 'x'.repeat(5000) },
    { errcode: 'M_LIMIT_EXCEEDED', error: 'x'.repeat(1000) },
  ],
])('the refusal %j becomes %j', async (body, error) => {
  const refused = checking(said(403, body)).check('create', () => ({}))
  expect(await refused.catch((thrown) => ({ status: thrown.status, ...thrown.toJSON() }))).toEqual({
    status: 403,
    ...error,
  })
})

test.each([
  ['a list', [], 400],
  ['null', null, 400],
  ['no JSON', undefined, 404],
  ['a failure', { errcode: 'M_FORBIDDEN' }, 500],
  ['a missing right', { errcode: 'M_FORBIDDEN', error: 'Wrong token' }, 401],
  ['a wrong token', { errcode: 'M_UNKNOWN_TOKEN' }, 403],
])('an answer of %s fails closed or open', async (_name, body, status) => {
  const { check } = checking(said(status, body))
  await expect(check('create', () => ({}))).rejects.toMatchObject({ status: 503, errcode: 'M_UNKNOWN' })
  await check('join', () => ({}))
})

test('the time limit covers the wait for a turn, and what waits is bounded', async () => {
  const { check, asked } = checking(never)
  const outcomes = Array.from({ length: 1500 }, () => check('create', () => ({})).catch(({ status }) => status))
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set([503]))
  expect(asked).toHaveLength(1)
})
