import { afterAll, beforeAll, expect, test } from 'vitest'
import { createMediaTestApp } from '../../testing/media-app.ts'
import { checkMediaStore } from './check-media-store.ts'

let world: Awaited<ReturnType<typeof createMediaTestApp>>
let elsewhere: Awaited<ReturnType<typeof createMediaTestApp>>
beforeAll(async () => {
  world = await createMediaTestApp()
  elsewhere = await createMediaTestApp()
})
afterAll(() => Promise.all([world.close(), elsewhere.close()]))

test('processes that start at once find one mark in a shared folder, and none in another', async () => {
  expect(await Promise.all([1, 2, 3].map(() => checkMediaStore(world.app)))).toEqual([true, true, true])
  expect(world.files()).toHaveLength(1)
  const stranger = { ...world.app, media: elsewhere.app.media }
  expect(await checkMediaStore(stranger)).toBe(false)
  expect(elsewhere.files()).toEqual([])
})
