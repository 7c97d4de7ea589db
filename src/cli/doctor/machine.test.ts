import { expect, test } from 'vitest'
import { loadLibrary } from '../../infra/thumbnails.ts'
import { checkThumbnails } from './machine.ts'

test('a library that does not load is found, and how to mend it', async () => {
  expect(await checkThumbnails(loadLibrary)).toEqual({ level: 'good', what: 'Thumbnails can be made' })
  const missing = () => Promise.reject(new Error('Could not load the "sharp" module\nPossible solutions: …'))
  expect(await checkThumbnails(missing)).toEqual({
    level: 'warning',
    what: 'Thumbnails cannot be made: Could not load the "sharp" module',
    mend: 'Run npm install --include=optional on this machine, and restart Hearth.',
  })
})
