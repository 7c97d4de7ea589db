import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { registerUser } from '../spec-tests/harness/client.ts'
import { startHearth } from '../spec-tests/harness/hearth.ts'
import { startVersitygw } from '../spec-tests/harness/versitygw.ts'
import { distinctFiles, download, upload } from './file-transfer.ts'
import { inParallel, measure, type Target } from './measure.ts'

/**
 * Measures uploads and downloads of files of 1, 10 and 100 MiB, one after another and 8 at a time: milliseconds and
 * CPU milliseconds per MiB, the least of ROUNDS (3). `node bench/media.ts [disk|s3|plain …]`: files in a folder, in a
 * bucket of versitygw without a cache, and of a plain Node server for comparison; by default all. They alternate, so
 * that other load affects all. The first row is a plain write and fsync, without a network or a hash.
 */
const ROUNDS = Number(process.env.ROUNDS ?? 3)
const MiB = 1024 ** 2
const CASES = [
  { size: 1, parallel: 1, count: 32 },
  { size: 10, parallel: 1, count: 6 },
  { size: 100, parallel: 1, count: 1 },
  { size: 1, parallel: 8, count: 32 },
  { size: 10, parallel: 8, count: 8 },
  { size: 100, parallel: 8, count: 8 },
] as const

type Server = Target & { token: string; path: string; stop(): Promise<void> }
type Figures = Map<string, { wall: number; cpu: number }>

async function startOn(store: 'disk' | 's3'): Promise<Server> {
  const gateway = store === 's3' ? await startVersitygw() : undefined
  const media = { max_upload_size: '200M', ...(gateway && { s3: { ...gateway.config, cache_size: '0' } }) }
  const hearth = await startHearth({ config: { media, limits: { request_timeout: '10m' } } })
  return {
    url: hearth.url,
    pids: [hearth.pid],
    token: (await registerUser(hearth.url)).accessToken,
    path: '/_matrix/client/v1/media/download/',
    async stop() {
      await hearth.dispose()
      await gateway?.stop()
    },
  }
}

async function startPlain(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-plain-'))
  const child: ChildProcess = fork(join(import.meta.dirname, 'plain-file-server.ts'), [folder])
  const [url] = (await once(child, 'message')) as [string]
  return {
    url,
    pids: [child.pid!],
    token: '',
    path: '/',
    async stop() {
      child.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function plainWrite(size: number): number {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-write-'))
  const content = Buffer.alloc(MiB, 7)
  const started = performance.now()
  const file = openSync(join(folder, 'file'), 'w')
  for (let written = 0; written < size; written++) writeSync(file, content)
  fsyncSync(file)
  closeSync(file)
  const wall = performance.now() - started
  rmSync(folder, { recursive: true })
  return wall / size
}

async function transfer(server: Server, { size, parallel, count }: (typeof CASES)[number]): Promise<Figures> {
  const next = distinctFiles(size * MiB)
  const ids: string[] = []
  // A file of its own for each upload in flight: they are sent while others are.
  const files = Array.from({ length: parallel }, () => Buffer.from(next()))
  const up = await measure(server, () =>
    inParallel(count, parallel, async (number) => {
      const file = files.pop()!
      file.writeDoubleLE(Math.random() + number, 8)
      ids.push(await upload(server, { file }))
      files.push(file)
    }),
  )
  const down = await measure(server, () =>
    inParallel(count, parallel, async (number) => {
      const bytes = await download(server, `${server.path}${ids[number]}`)
      if (bytes !== size * MiB) throw new Error(`a download of ${bytes} bytes`)
    }),
  )
  const each = (figure: { wall: number; cpu: number }) => ({
    wall: figure.wall / count / size,
    cpu: figure.cpu / count / size,
  })
  const what = `${size} MiB${parallel > 1 ? `, ${parallel} at a time` : ''}`
  return new Map([
    [`upload, ${what}`, each(up)],
    [`download, ${what}`, each(down)],
  ])
}

function keepLeast(least: Figures, figures: Figures): void {
  for (const [name, { wall, cpu }] of figures) {
    const before = least.get(name) ?? { wall: Number.POSITIVE_INFINITY, cpu: Number.POSITIVE_INFINITY }
    least.set(name, { wall: Math.min(before.wall, wall), cpu: Math.min(before.cpu, cpu) })
  }
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : ['disk', 's3', 'plain']
const starts: Record<string, () => Promise<Server>> = {
  disk: () => startOn('disk'),
  s3: () => startOn('s3'),
  plain: startPlain,
}
const servers = new Map<string, Server>()
for (const name of wanted) servers.set(name, await starts[name]!())
const least = new Map(wanted.map((name): [string, Figures] => [name, new Map()]))
for (const server of servers.values()) await transfer(server, CASES[0])
for (const size of [1, 10, 100]) {
  const times = Array.from({ length: ROUNDS }, () => plainWrite(size))
  console.log(`write and fsync, ${size} MiB: ${Math.min(...times).toFixed(2)} ms per MiB`)
}
for (const each of CASES)
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, server] of servers) keepLeast(least.get(name)!, await transfer(server, each))
for (const server of servers.values()) await server.stop()
console.log(`| ms per MiB: duration / CPU | ${wanted.join(' | ')} |\n|---|${wanted.map(() => '---:').join('|')}|`)
for (const name of least.get(wanted[0]!)!.keys()) {
  const cells = wanted.map((server) => {
    const { wall, cpu } = least.get(server)!.get(name)!
    return `${wall.toFixed(2)} / ${cpu.toFixed(2)}`
  })
  console.log(`| ${name} | ${cells.join(' | ')} |`)
}
process.exit(0)
