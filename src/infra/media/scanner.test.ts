import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { Agent } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeScanner, MALWARE, startFakeClamd, startFakeHttpScanner } from '../../../testing/scanners.ts'
import { createScan, type Scan, type ScannedFile } from './scanner.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-scan-'))
const dispatcher = new Agent()
const ended = new AsyncDisposableStack()
afterAll(async () => {
  await ended.disposeAsync()
  await dispatcher.close()
  rmSync(folder, { recursive: true })
})

function file(content: Buffer): ScannedFile {
  const pieces = [content.subarray(0, 3), content.subarray(3)]
  const sha256 = createHash('sha256').update(content).digest('base64url')
  return { open: async () => Readable.from(pieces), size: content.length, sha256 }
}

describe.each(['clamd at a port', 'clamd at a path', 'HTTP'])('%s', (kind) => {
  let fake: FakeScanner
  let scan: Scan
  beforeAll(async () => {
    const isHttp = kind === 'HTTP'
    const path = kind.endsWith('path') ? join(folder, 'clamd.ctl') : undefined
    fake = ended.use(isHttp ? await startFakeHttpScanner('secret') : await startFakeClamd({ ...(path && { path }) }))
    const place = isHttp ? { url: fake.address, token: 'secret' } : { clamd: fake.address }
    scan = createScan({ ...place, timeout: 300, max_concurrent: 2 }, dispatcher)!
  })

  test('finds malware, and nothing in other files', async () => {
    expect(await scan(file(Buffer.from('harmless')))).toBeUndefined()
    expect(await scan(file(Buffer.alloc(0)))).toBeUndefined()
    expect(await scan(file(Buffer.concat([Buffer.alloc(300_000), MALWARE])))).toMatch(/EICAR/)
    expect(fake.scanned.map(({ length }) => length)).toEqual([8, 0, 300_000 + MALWARE.length])
  })

  test.each(['away', 'failing', 'silent'] as const)('rejects while the scanner is %s', async (mode) => {
    fake.mode = mode
    await expect(scan(file(Buffer.from('content')))).rejects.toThrow()
    fake.mode = 'working'
    expect(await scan(file(Buffer.from('content')))).toBeUndefined()
  })
})

test('a file over the limit of clamd is not taken for clean', async () => {
  const fake = ended.use(await startFakeClamd({ maxBytes: 1000 }))
  const scan = createScan({ clamd: fake.address, timeout: 5000, max_concurrent: 1 }, dispatcher)!
  await expect(scan(file(Buffer.alloc(5000)))).rejects.toThrow('size limit exceeded')
})

test('HTTP answers of another form are no verdict', async () => {
  const fake = ended.use(await startFakeHttpScanner('secret'))
  const scan = createScan({ url: fake.address, token: 'wrong', timeout: 5000, max_concurrent: 1 }, dispatcher)!
  await expect(scan(file(Buffer.from('content')))).rejects.toThrow('status 403')
})

test('without a configured scanner there is none', () => {
  expect(createScan({ timeout: 1, max_concurrent: 1 }, dispatcher)).toBeUndefined()
})
