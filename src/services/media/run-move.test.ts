import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { runMoveSlice } from './run-move.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp()
})
afterAll(() => app.close())

test('files are moved only to the store for which the server was started', async () => {
  await expect(runMoveSlice(app, 's3')).rejects.toThrow('It was started with other values of media.store')
})
