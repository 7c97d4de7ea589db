import { expect, test } from 'vitest'
import { loadLibrary } from '../../infra/media/thumbnails.ts'
import { checkThumbnails } from './machine.ts'

test('a library that does not load is found, and how to fix it', async () => {
  expect(await checkThumbnails(loadLibrary)).toEqual({ level: 'good', what: 'The thumbnail library loads' })
  const missing = () => Promise.reject(new Error('Could not load the "sharp" module\nPossible solutions: …'))
  expect(await checkThumbnails(missing)).toEqual({
    level: 'warning',
    what: 'The thumbnail library does not load: Could not load the "sharp" module',
    fix: 'Run npm install --include=optional on this machine, and restart Hearth.',
  })
})
