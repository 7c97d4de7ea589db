import { expect, test } from 'vitest'
import { type Appservice, hasExclusively, hasUser, isInNamespace, isReserved } from './appservice.ts'
import type { UserId } from './ids.ts'

function appservice(id: string, exclusive: boolean): Appservice {
  return {
    id,
    url: null,
    asToken: `as-${id}`,
    hsToken: `hs-${id}`,
    sender: `@${id}bot:hearth.test` as UserId,
    namespaces: {
      users: [{ regex: new RegExp(`^(?:@_${id}_|@shared_)`), exclusive }],
      aliases: [{ regex: new RegExp(`^(?:#_${id}_)`), exclusive }],
      rooms: [],
    },
    isRateLimited: true,
    protocols: [],
    ephemeralKeys: [],
    receivesToDevice: false,
    acknowledgesToDevice: false,
    receivesDeviceLists: false,
  }
}

const irc = appservice('irc', true)
const log = appservice('log', false)

test('users of this server in the namespace are its own, and its sender', () => {
  expect(hasUser(irc, '@_irc_bob:hearth.test')).toBe(true)
  expect(hasUser(irc, '@ircbot:hearth.test')).toBe(true)
  expect(hasUser(irc, '@_irc_bob:elsewhere.test')).toBe(false)
  expect(hasUser(irc, '@x_irc_bob:hearth.test')).toBe(false)
  expect(isInNamespace(irc, 'aliases', '#_irc_tea:hearth.test')).toBe(true)
})

test('only exclusive namespaces keep others out, and senders', () => {
  expect(hasExclusively(log, 'users', '@_log_bob:hearth.test')).toBe(false)
  expect(hasExclusively(log, 'users', '@logbot:hearth.test')).toBe(true)
  expect(isReserved([irc, log], 'users', '@_irc_bob:hearth.test')).toBe(true)
  expect(isReserved([irc, log], 'users', '@_irc_bob:hearth.test', irc)).toBe(false)
  expect(isReserved([irc, log], 'users', '@shared_bob:hearth.test', log)).toBe(true)
  expect(isReserved([irc, log], 'aliases', '#_log_tea:hearth.test')).toBe(false)
})
