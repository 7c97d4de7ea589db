import { WebSocket } from 'ws'
import { pollUntil } from '../../testing/poll-until.ts'
import type { TestHearth } from './hearth.ts'

/** For `nodeArguments` of a process whose memory is measured. */
export const INSPECTED = '--inspect=127.0.0.1:0'

/** `process.memoryUsage()`, in bytes. */
export type MemoryUsage = { rss: number; heapUsed: number; external: number; arrayBuffers: number }

/** Runs the garbage collector of a process that was started with `INSPECTED`, and returns its memory usage. */
export async function memoryWithoutGarbage(hearth: TestHearth): Promise<MemoryUsage> {
  const url = await pollUntil(
    'the inspector listens',
    () => /Debugger listening on (ws:\S+)/.exec(hearth.output())?.[1],
  )
  const socket = new WebSocket(url)
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  let calls = 0
  // biome-ignore lint/suspicious/noExplicitAny: results have every shape
  async function call(method: string, params: object = {}): Promise<any> {
    const id = ++calls
    const answered = new Promise<string>((resolve) => {
      socket.on('message', (data) => JSON.parse(String(data)).id === id && resolve(String(data)))
    })
    socket.send(JSON.stringify({ id, method, params }))
    return JSON.parse(await answered).result
  }
  try {
    await call('HeapProfiler.collectGarbage')
    const expression = 'JSON.stringify(process.memoryUsage())'
    const { result } = await call('Runtime.evaluate', { expression, returnByValue: true })
    return JSON.parse(result.value)
  } finally {
    socket.close()
  }
}
