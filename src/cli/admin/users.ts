import { hearthV1, v1, v2 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import type { UserId } from '../../core/ids.ts'
import { askAccount } from '../ask-account.ts'
import { type Command, defineCommand } from '../command.ts'
import { ADMIN_OPTIONS, defineAct, LIST_OPTIONS, pageOf } from './act.ts'
import { type AdminApi, withAdminApi } from './admin-api.ts'
import { columns, fields, print, time } from './print.ts'

/** A user in a list of the admin API, as far as it is shown. */
type ListedUser = {
  name: string
  displayname: string | null
  admin: boolean
  locked: boolean
  suspended: boolean
  deactivated: boolean
  creation_ts: number
  last_seen_ts: number | null
}

export const listUsersCommand = defineCommand({
  about: 'Lists accounts, by name.',
  options: {
    ...ADMIN_OPTIONS,
    search: { type: 'string', value: 'TEXT', about: 'only those whose ID or display name contains it' },
    admins: { type: 'boolean', about: 'only administrators' },
    all: { type: 'boolean', about: 'deactivated and locked accounts too' },
    ...LIST_OPTIONS,
  },
  examples: [
    ['user list --search ali', 'find an account'],
    ['user list --all --limit 1000 --json', 'in a script'],
  ],
  async run({ config: configFile, json, search, admins, all, ...page }) {
    const query = new URLSearchParams({
      ...pageOf(page),
      ...(search !== undefined && { name: search }),
      ...(admins && { admins: 'true' }),
      ...(all && { deactivated: 'true', locked: 'true' }),
    })
    const list = await withAdminApi(loadConfig({ configFile }), ({ request }) =>
      request<{ users: ListedUser[]; total: number }>('GET', v2(`/users?${query}`)),
    )
    print(list, { json, describe: describeList })
    return 0
  },
})

export const showUserCommand = forUser({
  verb: 'show',
  about: 'Shows an account: its profile, state, addresses and accounts at identity providers.',
  purpose: 'everything about one account',
  async perform({ request }, userId) {
    const answer = await request('GET', v2(`/users/${encodeURIComponent(userId)}`))
    const { creation_ts, last_seen_ts, ...shown } = answer
    return { answer, done: fields({ ...shown, created: time(creation_ts), last_seen: time(last_seen_ts) }) }
  },
})

export const lockUserCommand = change('lock', {
  about: 'Locks an account: its clients can do nothing but log out, until it is unlocked.',
  purpose: 'while a stolen account is examined',
  request: (userId) => ['PUT', v2(`/users/${encodeURIComponent(userId)}`), { locked: true }],
  done: 'is locked',
})

export const unlockUserCommand = change('unlock', {
  about: 'Unlocks an account.',
  purpose: 'after lock',
  request: (userId) => ['PUT', v2(`/users/${encodeURIComponent(userId)}`), { locked: false }],
  done: 'is no longer locked',
})

export const suspendUserCommand = change('suspend', {
  about: 'Suspends an account: the user can read, but neither send nor join or invite.',
  purpose: 'after a report',
  request: (userId) => ['PUT', v1(`/suspend/${encodeURIComponent(userId)}`), { suspend: true }],
  done: 'is suspended',
})

export const unsuspendUserCommand = change('unsuspend', {
  about: 'Ends the suspension of an account.',
  purpose: 'after suspend',
  request: (userId) => ['PUT', v1(`/suspend/${encodeURIComponent(userId)}`), { suspend: false }],
  done: 'is no longer suspended',
})

export const makeAdminCommand = change('make-admin', {
  about: 'Makes a user an administrator of the server.',
  purpose: 'for a second administrator',
  request: (userId) => ['PUT', v1(`/users/${encodeURIComponent(userId)}/admin`), { admin: true }],
  done: 'is an administrator',
})

export const revokeAdminCommand = change('revoke-admin', {
  about: 'Takes the rights of an administrator from a user.',
  purpose: 'for somebody who left the team',
  request: (userId) => ['PUT', v1(`/users/${encodeURIComponent(userId)}/admin`), { admin: false }],
  done: 'is no administrator any more',
})

export const deactivateUserCommand = defineCommand({
  argument: '[USERNAME]',
  about:
    'Deactivates an account: its sessions end, it leaves all rooms, and its name cannot be used again. With --erase its profile, account data and files are deleted too, and its messages are hidden from users who join later.',
  options: { ...ADMIN_OPTIONS, erase: { type: 'boolean', about: 'erase the data of the user' } },
  examples: [
    ['user deactivate alice', 'for a user who left'],
    ['user deactivate alice --erase', 'for a user who asks for deletion'],
  ],
  async run({ config: configFile, json, erase = false }, username) {
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, username, 'user deactivate')
    const answer = await withAdminApi(config, ({ request }) =>
      request('POST', v1(`/deactivate/${encodeURIComponent(userId)}`), { erase }),
    )
    print(answer, { json, describe: () => `${userId} is deactivated${erase ? ' and erased' : ''}.` })
    return 0
  },
})

export const resetSecondFactorCommand = forUser({
  verb: 'reset-second-factor',
  about:
    'Removes the authenticator app, all passkeys and the recovery codes of an account, for a user who lost them. The user can sign in with the password alone then, and set up a new second factor. Check first that the request comes from the user.',
  purpose: 'for a user who lost the phone and the recovery codes',
  async perform({ request }, userId) {
    const answer = await request('DELETE', hearthV1(`/users/${encodeURIComponent(userId)}/second_factors`))
    const rest = answer.removed ? 'has no second factor any more.' : 'has no second factor: nothing to do.'
    return { answer, done: `${userId} ${rest}` }
  },
})

type Perform = (api: AdminApi, userId: UserId) => Promise<{ answer: unknown; done: string }>

function forUser(act: { verb: string; about: string; purpose: string; perform: Perform }): Command {
  const command = `user ${act.verb}`
  return defineAct({
    ...{ command, about: act.about, argument: 'USERNAME', example: 'alice', purpose: act.purpose },
    perform: async (api, name) => act.perform(api, await askAccount(api.config, name, command)),
  })
}

type Change = {
  about: string
  purpose: string
  request(userId: UserId): ['PUT' | 'POST', path: string, body: object]
  /** The end of a sentence about the user, after the act. */
  done: string
}

function change(verb: string, { about, purpose, request, done }: Change): Command {
  return forUser({
    ...{ verb, about, purpose },
    perform: async (api, userId) => ({ answer: await api.request(...request(userId)), done: `${userId} ${done}.` }),
  })
}

function describeList({ users, total }: { users: ListedUser[]; total: number }): string {
  const rows = users.map((user) => [
    ...[user.name, user.displayname, stateOf(user), time(user.creation_ts), time(user.last_seen_ts)],
  ])
  return `${columns(['user', 'display name', 'state', 'created', 'last seen'], rows)}\n${users.length} of ${total}`
}

function stateOf({ admin, locked, suspended, deactivated }: ListedUser): string {
  const states = { admin, locked, suspended, deactivated }
  return Object.entries(states)
    .filter(([, holds]) => holds)
    .map(([state]) => state)
    .join(', ')
}
