import { expect, onTestFinished, test, vi } from 'vitest'
import { onInterruption } from './on-interruption.ts'

test('an interrupted process cleans up once, then ends by the same signal', () => {
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
  onTestFinished(() => void kill.mockRestore())
  const cleaned: string[] = []
  const listeners = process.listenerCount('SIGTERM')
  onInterruption(() => cleaned.push('copy'))
  onInterruption(() => cleaned.push('partial'))
  onInterruption(() => cleaned.push('whole already'))()
  process.emit('SIGTERM', 'SIGTERM')
  expect(cleaned).toEqual(['copy', 'partial'])
  expect(kill).toHaveBeenCalledWith(process.pid, 'SIGTERM')
  expect(process.listenerCount('SIGTERM')).toBe(listeners)
})
