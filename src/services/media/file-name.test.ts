import { expect, test } from 'vitest'
import { safeFileName } from './file-name.ts'

test.each([
  ['name with spaces', 'name with spaces'],
  ['name;with;semicolons', 'name;with;semicolons'],
  ['🐔', '🐔'],
  ['../../etc/passwd', 'passwd'],
  ['C:\\Windows\\system.ini', 'system.ini'],
  ['a\r\nSet-Cookie: x', 'aSet-Cookie: x'],
  ['nul\0.png', 'nul.png'],
  ['half \ud83d.png', 'half \ufffd.png'],
  [`${'a'.repeat(254)}🐔`, `${'a'.repeat(254)}\ufffd`],
  ['..', undefined],
  ['folder/', undefined],
  [' ', undefined],
  ['', undefined],
  [undefined, undefined],
])('%j becomes %j', (name, safe) => {
  expect(safeFileName(name)).toBe(safe)
})
