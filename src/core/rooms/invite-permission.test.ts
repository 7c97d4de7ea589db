import { describe, expect, it } from 'vitest'
import type { UserId } from '../ids.ts'
import { compileInvitePermission } from './invite-permission.ts'

const judge = (configs: Parameters<typeof compileInvitePermission>[0], inviter = '@eve:evil.org') =>
  compileInvitePermission(configs)(inviter as UserId)

describe('compileInvitePermission', () => {
  it('allows all where nothing, or nothing of use, is stored', () => {
    const useless = { blocked_users: null, blocked_servers: 'evil.org', ignored_users: [1, '', null, 'x'.repeat(300)] }
    expect([{}, { permission: null }, { filter: 'x' }, { filter: useless }].map((config) => judge(config))).toEqual(
      Array(4).fill('allow'),
    )
  })

  it.each<[string, object, string]>([
    ['a user', { blocked_users: ['@eve:evil.org'] }, 'block'],
    ['users by pattern', { ignored_users: ['@ev?:*'] }, 'ignore'],
    ['a server', { blocked_servers: ['evil.org'] }, 'block'],
    ['servers by pattern', { ignored_servers: ['evil.*'] }, 'ignore'],
    ['another server', { blocked_servers: ['evil'] }, 'allow'],
    ['a user of a blocked server', { allowed_users: ['@eve:*'], blocked_servers: ['*'] }, 'allow'],
    ['a blocked user of an allowed server', { blocked_users: ['@eve:*'], allowed_servers: ['*'] }, 'block'],
    ['a user in all lists', { allowed_users: ['*'], ignored_users: ['*'], blocked_users: ['*'] }, 'allow'],
    ['a user ignored and blocked', { ignored_users: ['*'], blocked_users: ['*'] }, 'ignore'],
  ])('judges %s', (_what, filter, verdict) => {
    expect(judge({ filter })).toBe(verdict)
  })

  it('asks default_action last', () => {
    expect(judge({ permission: { default_action: 'block' } })).toBe('block')
    expect(judge({ permission: { default_action: 'allow' } })).toBe('allow')
    expect(judge({ permission: { default_action: 'block' }, filter: { allowed_servers: ['evil.org'] } })).toBe('allow')
  })
})
