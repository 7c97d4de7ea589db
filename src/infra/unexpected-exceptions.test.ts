import { expect, test, vi } from 'vitest'
import { createLogger } from './logger.ts'
import { createMetrics } from './metrics.ts'
import { watchExceptions } from './unexpected-exceptions.ts'

test('each exception is logged and counted, whatever was thrown; the first one is reported', async () => {
  const lines: string[] = []
  const logger = createLogger({ level: 'info', format: 'json' }, { write: (line) => void lines.push(line) })
  const metrics = createMetrics()
  // Not emitted for real, because the test runner listens too.
  const on = vi.spyOn(process, 'on')
  const exceptions = watchExceptions({ logger, metrics })
  const note = on.mock.calls.find(([name]) => (name as string) === 'uncaughtException')![1]
  on.mockRestore()

  note(new Error('one'), 'uncaughtException')
  await exceptions.first
  note('two', 'unhandledRejection')
  note(undefined, 'unhandledRejection')

  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 'fatal', err: { message: 'one' }, origin: 'uncaughtException' },
    { level: 'fatal', err: { message: 'two' }, origin: 'unhandledRejection' },
    { level: 'fatal', err: { message: 'undefined' } },
  ])
  expect(await metrics.registry.metrics()).toContain('hearth_unexpected_exceptions_total 3\n')
  expect(process.listeners('uncaughtException')).toContain(note)
  exceptions.stop()
  expect(process.listeners('uncaughtException')).not.toContain(note)
  metrics.close()
})
