import { afterAll, beforeAll, expect, test } from 'vitest'
import { NotFoundError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { deleteAuditEntries } from '../../../storage/users/audit-log.ts'
import { findUser, updateLocked } from '../../../storage/users/users.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { type AdminAct, listAudited, recordAct } from './audit-log.ts'

const user = '@user:hearth.test' as UserId
let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: [user] })
})
afterAll(() => app.close())

const act = (target: string, details: AdminAct['details'] = {}) => ({
  ...{ actor: '@admin:hearth.test', action: 'PUT /x', target, address: '192.0.2.1', details },
})
const entriesOf = (target: string) =>
  listAudited(app, { actor: null, target, newestFirst: true, beyond: null, limit: 10 })

test('an act is recorded with its first write, once', async () => {
  await recordAct(app, act('first'), async (within) => {
    await within.database.write((tx) => updateLocked(tx, user, 1))
    await within.database.write((tx) => updateLocked(tx, user, null))
  })
  const [entry, ...others] = await entriesOf('first')
  expect(entry).toMatchObject({ actor: '@admin:hearth.test', action: 'PUT /x', address: '192.0.2.1' })
  expect(others).toEqual([])
})

test('a write that fails leaves neither the change nor an entry', async () => {
  const failing = recordAct(app, act('refused'), (within) =>
    within.database.write(async (tx) => {
      await updateLocked(tx, user, 1)
      throw new NotFoundError('no')
    }),
  )
  await expect(failing).rejects.toThrow('no')
  expect(await entriesOf('refused')).toEqual([])
  expect((await findUser(app.database, user))?.locked).toBe(false)
})

test('an act that fails after its first write stays recorded', async () => {
  const failing = recordAct(app, act('half'), async (within) => {
    await within.database.write((tx) => updateLocked(tx, user, null))
    throw new NotFoundError('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(await entriesOf('half')).toHaveLength(1)
})

test('concurrent writes of an act make one entry, and a failed one leaves it to another', async () => {
  await recordAct(app, act('both'), (within) => {
    const change = (lockedTs: number | null) => within.database.write((tx) => updateLocked(tx, user, lockedTs))
    const failing = within.database.write(() => Promise.reject(new NotFoundError('no')))
    return Promise.allSettled([failing, change(1), change(null)])
  })
  expect(await entriesOf('both')).toHaveLength(1)
})

test('an act that writes nothing itself is recorded when it is done', async () => {
  expect(await recordAct(app, act('nothing'), async () => 5)).toBe(5)
  expect(await entriesOf('nothing')).toHaveLength(1)
})

test('an act that fails is recorded if it has changed a room before, and not if it has only looked', async () => {
  const failing = (target: string, isChange: boolean) =>
    recordAct(app, act(target), async (within) => {
      await within.rooms.run(null, async (room) => {
        if (isChange) room.writes.push(async () => {})
      })
      throw new NotFoundError('no')
    })
  await expect(failing('changed room', true)).rejects.toThrow('no')
  await expect(failing('seen room', false)).rejects.toThrow('no')
  expect(await entriesOf('changed room')).toHaveLength(1)
  expect(await entriesOf('seen room')).toEqual([])
})

test('details are cut: long values first, then all of them', async () => {
  await recordAct(app, act('long', { text: 'x'.repeat(1000), other: 1 }), async () => {})
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`k${n}`, 'y'.repeat(150)]))
  await recordAct(app, act('many', { nul: 'a\0b', ...many }), async () => {})
  const [long] = await entriesOf('long')
  expect(JSON.parse(long!.details)).toEqual({ text: `${'x'.repeat(200)}…`, other: 1 })
  const [cut] = await entriesOf('many')
  expect(Object.keys(JSON.parse(cut!.details))).toHaveLength(20)
  expect(cut!.details.length).toBeLessThan(4096)
})

test('pages go by entry in both directions, and entries end after their time', async () => {
  for (const name of ['a', 'b', 'c']) await recordAct(app, { ...act(name), actor: 'pages' }, async () => {})
  const page = async (newestFirst: boolean, beyond: number | null) => {
    const rows = await listAudited(app, { actor: 'pages', target: null, newestFirst, beyond, limit: 2 })
    return { targets: rows.map(({ target }) => target), last: rows.at(-1)!.entry_nid }
  }
  const first = await page(true, null)
  expect([first.targets, (await page(true, first.last)).targets]).toEqual([['c', 'b'], ['a']])
  const oldest = await page(false, null)
  expect([oldest.targets, (await page(false, oldest.last)).targets]).toEqual([['a', 'b'], ['c']])
  app.clock.advance(app.config.audit_log.keep + 1)
  expect(await entriesOf('a')).toEqual([])
  await app.database.write((tx) => deleteAuditEntries(tx, app.clock.now()))
})
