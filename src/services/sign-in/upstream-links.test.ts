import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from '../users/create-user.ts'
import { deactivateUser } from '../users/deactivate.ts'
import { linkProvider, listLinkedProviders, replaceLinks, unlinkProvider } from './upstream-links.ts'

let app: TestApp
let alice: UserId
let bob: UserId
beforeAll(async () => {
  const oidc = {
    kind: 'oidc',
    id: 'company',
    name: 'Company',
    issuer: 'https://id.example.org',
    client_id: 'h',
  } as const
  app = await createTestApp({ config: { identity_providers: [oidc] } })
  alice = await createUser(app, { localpart: 'alice' })
  bob = await createUser(app, { localpart: 'bob' })
})
afterAll(() => app.close())

const link = (userId: UserId, subject: string, providerId = 'company') => ({ userId, subject, providerId })

test('an administrator links and unlinks, also the last way to sign in', async () => {
  await linkProvider(app, link(alice, '1'))
  await linkProvider(app, link(alice, '1'))
  expect(await listLinkedProviders(app, alice)).toEqual([
    { providerId: 'company', subject: '1', name: 'Company', label: '1', linkedTs: app.clock.now() },
  ])
  await expect(unlinkProvider(app, link(alice, '1'))).rejects.toMatchObject({ errcode: 'M_LAST_SIGN_IN' })
  await unlinkProvider(app, { ...link(alice, '1'), byAdmin: true })
  expect(await listLinkedProviders(app, alice)).toEqual([])
  await expect(unlinkProvider(app, { ...link(alice, '1'), byAdmin: true })).rejects.toMatchObject({ status: 404 })
})

test('an account at a provider is that of one user', async () => {
  await linkProvider(app, link(alice, '2'))
  await expect(linkProvider(app, link(bob, '2'))).rejects.toMatchObject({ errcode: 'M_LINKED_ELSEWHERE' })
  expect(await listLinkedProviders(app, bob)).toEqual([])
})

test('nothing is linked to a provider or user that does not exist', async () => {
  await expect(linkProvider(app, link(bob, '3', 'nowhere'))).rejects.toMatchObject({ status: 404 })
  for (const subject of ['', 'a'.repeat(1025), 'a\0b'])
    await expect(linkProvider(app, link(bob, subject))).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  await expect(linkProvider(app, link('@nobody:hearth.test' as UserId, '3'))).rejects.toMatchObject({ status: 404 })
})

test('erasing a user forgets the names at providers, and keeps the links', async () => {
  const gone = await createUser(app, { localpart: 'gone' })
  await linkProvider(app, link(gone, 'gone@example.org'))
  await deactivateUser(app, { userId: gone, erase: true })
  expect(await listLinkedProviders(app, gone)).toMatchObject([{ subject: 'gone@example.org', label: '' }])
  await expect(linkProvider(app, link(gone, '4'))).rejects.toMatchObject({ status: 404 })
})

test('a list of links replaces the former one, unless another user has one of them', async () => {
  const carol = await createUser(app, { localpart: 'carol' })
  const dave = await createUser(app, { localpart: 'dave' })
  const replace = (userId: UserId, ...subjects: string[]) => {
    const links = subjects.map((subject) => ({ providerId: 'company', subject }))
    return app.database.write((tx) => replaceLinks(app, tx, { userId, links }))
  }
  const linked = async (userId: UserId) => (await listLinkedProviders(app, userId)).map(({ subject }) => subject)
  await replace(carol, 'c1', 'c2')
  await replace(carol, 'c2', 'c3')
  expect(await linked(carol)).toEqual(['c2', 'c3'])
  await expect(replace(dave, 'd1', 'c3')).rejects.toMatchObject({ status: 409 })
  expect(await linked(dave)).toEqual([])
  await deactivateUser(app, { userId: carol, erase: false })
  await expect(replace(carol, 'c2', 'c4')).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  await replace(carol, 'c2')
  expect(await linked(carol)).toEqual(['c2'])
})
