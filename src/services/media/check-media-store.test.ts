import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { checkMediaStore } from './check-media-store.ts'

let app: TestApp
let elsewhere: TestApp
beforeAll(async () => {
  app = await createTestApp()
  elsewhere = await createTestApp()
})
afterAll(() => Promise.all([app.close(), elsewhere.close()]))

test('processes that start at once find one mark in a shared folder, and none in another', async () => {
  expect(await Promise.all([1, 2, 3].map(() => checkMediaStore(app)))).toEqual([true, true, true])
  expect(storedFiles(app)).toHaveLength(1)
  const stranger = { ...app, media: elsewhere.media }
  expect(await checkMediaStore(stranger)).toBe(false)
  expect(storedFiles(elsewhere)).toEqual([])
})
