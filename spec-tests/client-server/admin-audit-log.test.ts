import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'

/** Hearth's log of what administrators do: docs/administration.md. */
const { url, sharedSecret } = inject('homeserver')
const LOG = '/_hearth/admin/v1/audit_log'
const lockPath = (userId: string) => `/_matrix/client/v1/admin/lock/${encodeURIComponent(userId)}`

let admin: TestUser
let user: TestUser
beforeAll(async () => {
  ;[admin, user] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
})

describe('the audit log', () => {
  test('has each change by an administrator, with the address, and none that was refused', async () => {
    const before = Date.now()
    await admin.put(lockPath(user.userId), { locked: true })
    await admin.put(lockPath(user.userId), { locked: false })
    await admin.get(lockPath(user.userId))
    await admin.ask('PUT', lockPath(user.userId), { locked: 'x' })
    await admin.ask('PUT', lockPath(admin.userId), { locked: true })
    const { entries } = await admin.get(`${LOG}?actor=${encodeURIComponent(admin.userId)}`)
    const entry = {
      ...{ id: expect.any(Number), ts: expect.any(Number), actor: admin.userId, target: user.userId },
      ...{ action: 'PUT /_matrix/client/v1/admin/lock/:userId', address: expect.stringMatching(/^[0-9a-f.:]+$/) },
    }
    expect(entries).toEqual([
      { ...entry, details: { userId: user.userId, locked: false } },
      { ...entry, details: { userId: user.userId, locked: true } },
    ])
    expect(entries[0].ts).toBeGreaterThan(before - 60_000)
    const first = await admin.get(`${LOG}?target=${encodeURIComponent(user.userId)}&limit=1`)
    expect(first.entries).toEqual([entries[0]])
    const next = await admin.get(`${LOG}?target=${encodeURIComponent(user.userId)}&limit=1&from=${first.next_token}`)
    expect(next.entries).toEqual([entries[1]])
    const forwards = await admin.get(`${LOG}?target=${encodeURIComponent(user.userId)}&dir=f`)
    expect(forwards).toEqual({ entries: entries.toReversed() })
  })

  test('has registrations by the shared secret, without the password', async () => {
    const name = admin.userId.slice(1).split(':')[0]
    const { entries } = await admin.get(`${LOG}?actor=shared%20secret&target=${name}`)
    expect(entries).toHaveLength(1)
    expect(entries[0].details).toMatchObject({ username: name, admin: true, password: '(secret)', mac: '(secret)' })
  })

  test('has nothing of a registration whose MAC is wrong', async () => {
    const [path, username] = ['/_synapse/admin/v1/register', uniqueName()]
    const { nonce } = (await ask(url, { method: 'GET', path })).body
    for (const given of [nonce, 'unknown']) {
      const body = { nonce: given, username, password: 'correct horse battery', admin: true, mac: '00' }
      expect((await ask(url, { method: 'POST', path, body })).status).toBeGreaterThanOrEqual(400)
    }
    expect((await admin.get(`${LOG}?target=${username}`)).entries).toEqual([])
  })

  test('is for administrators', async () => {
    const { status, body } = await user.ask('GET', LOG)
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    expect((await admin.ask('GET', `${LOG}?limit=x`)).status).toBe(400)
  })
})
