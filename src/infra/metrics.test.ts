import { afterEach, expect, test } from 'vitest'
import { createMetrics, type Metrics } from './metrics.ts'

const opened: Metrics[] = []
afterEach(() => {
  for (const metrics of opened.splice(0)) metrics.close()
})

function open(): Metrics {
  const metrics = createMetrics()
  opened.push(metrics)
  return metrics
}

test('requests are counted by route, method and status', async () => {
  const metrics = open()
  const request = { route: '/sync', method: 'GET', status: 200, client: 'Element X', peer: undefined }
  metrics.countRequest({ ...request, seconds: 0.02, received: 40, sent: 512 })
  const text = await metrics.registry.metrics()
  expect(text).toContain('hearth_http_request_duration_seconds_count{route="/sync",method="GET",status="200"} 1')
  expect(text).toContain(
    'hearth_http_request_duration_seconds_bucket{le="0.01",route="/sync",method="GET",status="200"} 0',
  )
  expect(text).toContain('hearth_http_response_bytes_total{route="/sync"} 512')
})

test('the pool is read when the figures are collected', async () => {
  const metrics = open()
  let waiting = 0
  metrics.watchPool(() => ({ total: 3, idle: 1, waiting }))
  waiting = 7
  const text = await metrics.registry.metrics()
  expect(text).toContain('hearth_database_pool{state="total"} 3')
  expect(text).toContain('hearth_database_pool{state="waiting"} 7')
})

test('the process is watched', async () => {
  const text = await open().registry.metrics()
  expect(Number(/^process_resident_memory_bytes (.*)$/m.exec(text)?.[1])).toBeGreaterThan(1e6)
  expect(Number(/^process_cpu_seconds_total (.*)$/m.exec(text)?.[1])).toBeGreaterThan(0)
  expect(text).toContain('hearth_event_loop_delay_seconds{quantile="0.99"}')
})

test('two servers in one process do not share figures', async () => {
  const [one, other] = [open(), open()]
  one.syncWaiters.inc()
  expect(await one.registry.metrics()).toContain('hearth_sync_waiters 1')
  expect(await other.registry.metrics()).toContain('hearth_sync_waiters 0')
})

test('look-ups in caches are counted as they are when the figures are collected', async () => {
  const metrics = createMetrics()
  const counts = { events: { hits: 1, misses: 2 } }
  metrics.watchCaches(counts)
  counts.events.hits = 5
  await metrics.registry.metrics()
  const text = await metrics.registry.metrics()
  expect(text).toContain('hearth_cache_lookups_total{cache="events",result="hit"} 5')
  expect(text).toContain('hearth_cache_lookups_total{cache="events",result="miss"} 2')
  metrics.close()
})
