import { expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { creatorOf } from './rendezvous.ts'

test('a client with many addresses of one network begins no more sessions than one with a single address', () => {
  const by = (ip: string, userId?: string) =>
    creatorOf({ session: userId === undefined ? undefined : { userId: userId as UserId }, request: { ip } })
  expect(by('2001:db8:1:2::1')).toEqual(by('2001:db8:1:2:ffff::9'))
  expect(by('2001:db8:1:3::1')).not.toEqual(by('2001:db8:1:2::1'))
  expect(by('192.0.2.1')).not.toEqual(by('192.0.2.2'))
  expect(by('2001:db8:1:3::1').network).toBe(by('2001:db8:1:2::1').network)
  expect(by('2001:db8:2:3::1').network).not.toBe(by('2001:db8:1:3::1').network)
  expect(by('192.0.2.1', '@alice:hearth.test')).toEqual({ name: '@alice:hearth.test', network: null })
})
