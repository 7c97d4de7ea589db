import { expect, test } from 'vitest'
import { freeMemory } from './free-memory.ts'

test('frees the memory of a buffer of its own', () => {
  const before = process.memoryUsage().arrayBuffers
  const buffers = Array.from({ length: 64 }, () => Buffer.allocUnsafeSlow(1024 * 1024))
  expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThan(60 * 1024 ** 2)
  buffers.forEach(freeMemory)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 ** 2)
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
