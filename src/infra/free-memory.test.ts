import { expect, test } from 'vitest'
import { freeMemory } from './free-memory.ts'

test('frees the memory of a buffer of its own', () => {
  const buffers = Array.from({ length: 64 }, () => Buffer.allocUnsafeSlow(1024 * 1024))
  const before = process.memoryUsage().arrayBuffers
  buffers.forEach(freeMemory)
  // The garbage collector may free others' at the same time.
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThan(60 * 1024 ** 2)
  expect(buffers[0]).toHaveLength(0)
})

test('leaves memory that others share', () => {
  const whole = Buffer.from('a whole of which others have parts')
  for (const part of [whole.subarray(2), Buffer.from('pooled')]) freeMemory(part)
  expect(whole.toString()).toBe('a whole of which others have parts')
  const shared = Buffer.from(new SharedArrayBuffer(8))
  freeMemory(shared)
  expect(shared).toHaveLength(8)
})
