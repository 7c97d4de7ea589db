import { describe, expect, inject, test } from 'vitest'
import { registerUser } from '../harness/client.ts'

const { url } = inject('homeserver')
const RULES = '/_matrix/client/v3/pushrules/'
const rule = (kind: string, id: string) => `${RULES}global/${kind}/${encodeURIComponent(id)}`

/** https://spec.matrix.org/v1.19/client-server-api/#push-rules-api */
describe('push rules', () => {
  test('there are default ones, with and without a slash at the end', async () => {
    const user = await registerUser(url)
    const { global } = await user.get(RULES)
    expect(Object.keys(global).sort()).toEqual(['content', 'override', 'postcontent', 'room', 'sender', 'underride'])
    expect(await user.get(`${RULES}global/`)).toEqual(global)
    expect(await user.get('/_matrix/client/r0/pushrules/global')).toEqual(global)
    expect(await user.get(rule('underride', '.m.rule.message'))).toMatchObject({ default: true, enabled: true })
  })

  test('rules of one’s own stand where they are put, and go', async () => {
    const user = await registerUser(url)
    await user.put(rule('content', 'one'), { actions: ['notify'], pattern: 'tea' })
    await user.put(rule('content', 'two'), { actions: [], pattern: 'coffee' })
    await user.put(`${rule('content', 'three')}?after=two`, { actions: [], pattern: 'milk' })
    const own = async () =>
      (await user.get(RULES)).global.content
        .filter((each: { default: boolean }) => !each.default)
        .map((each: { rule_id: string }) => each.rule_id)
    expect(await own()).toEqual(['two', 'three', 'one'])
    expect((await user.ask('DELETE', rule('content', 'two'))).status).toBe(200)
    expect(await own()).toEqual(['three', 'one'])
    expect((await user.ask('DELETE', rule('content', 'two'))).body.errcode).toBe('M_NOT_FOUND')
  })

  test('any can be disabled and given other actions', async () => {
    const user = await registerUser(url)
    const path = rule('override', '.m.rule.master')
    expect(await user.get(`${path}/enabled`)).toEqual({ enabled: false })
    await user.put(`${path}/enabled`, { enabled: true })
    expect(await user.get(`${path}/enabled`)).toEqual({ enabled: true })
    const actions = ['notify', { set_tweak: 'sound', value: 'default' }]
    await user.put(`${rule('underride', '.m.rule.message')}/actions`, { actions })
    expect(await user.get(`${rule('underride', '.m.rule.message')}/actions`)).toEqual({ actions })
  })

  test.each([
    ['GET', rule('nonsense', 'x'), undefined, 400, 'M_INVALID_PARAM'],
    ['GET', rule('override', 'none'), undefined, 404, 'M_NOT_FOUND'],
    ['PUT', rule('content', '.mine'), { actions: [], pattern: 'x' }, 400, 'M_INVALID_PARAM'],
    ['PUT', rule('content', 'x'), { actions: 'notify', pattern: 'x' }, 400, 'M_BAD_JSON'],
    ['PUT', `${rule('content', 'x')}?before=none`, { actions: [], pattern: 'x' }, 400, 'M_UNKNOWN'],
    ['PUT', `${rule('content', 'x')}/enabled`, { enabled: true }, 404, 'M_NOT_FOUND'],
    ['PUT', `${rule('override', '.m.rule.master')}/actions`, { actions: [5] }, 400, 'M_BAD_JSON'],
    ['DELETE', rule('override', '.m.rule.master'), undefined, 400, 'M_INVALID_PARAM'],
  ])('%s %s %j: %i %s', async (method, path, body, status, errcode) => {
    const user = await registerUser(url)
    const answer = await user.ask(method, path, body)
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
  })
})
