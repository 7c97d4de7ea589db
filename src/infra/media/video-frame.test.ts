import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { grabFrame } from './video-frame.ts'

/** These programs do as ffmpeg might; the real one is not needed. */
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-ffmpeg-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function program(script: string): string {
  const path = join(folder, 'ffmpeg')
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o700)
  return path
}

async function grab(script: string, { type = 'video/mp4', timeMs = 20_000 } = {}): Promise<string> {
  const frame = await grabFrame(program(script), { path: '/some/video', type }, { maxPixels: 1000, timeMs })
  return frame.toString()
}

test('returns what it prints', async () => {
  expect(await grab('printf frame; echo warning >&2')).toBe('frame')
})

test('may read one file of the detected format, and nothing else', async () => {
  const formats = { 'video/mp4': 'mov', 'video/quicktime': 'mov', 'video/webm': 'matroska', 'video/ogg': 'ogg' }
  for (const [type, format] of Object.entries(formats)) {
    const given = await grab('echo "$@"', { type })
    expect(given).toContain(`-protocol_whitelist file -format_whitelist ${format} -f ${format} -i file:/some/video `)
    expect(given).toContain('-nostdin ')
    expect(given).toContain('-max_pixels 1000 ')
  }
  await expect(grab('printf frame', { type: 'application/vnd.apple.mpegurl' })).rejects.toThrow('is not a video')
})

test('has bounds of time, memory and files, a low priority, and no environment', async () => {
  process.env.HEARTH_TEST_SECRET = 'secret'
  const given = await grab('ulimit -t; ulimit -v; ulimit -f; nice; env').finally(() => {
    delete process.env.HEARTH_TEST_SECRET
  })
  const [seconds, kib, blocks, niceness] = given.split('\n')
  expect([seconds, kib, blocks]).toEqual(['10', '2097152', '0'])
  expect(Number(niceness)).toBeGreaterThanOrEqual(10)
  expect(given).not.toContain('secret')
  await expect(grab(`echo something > ${join(folder, 'written')}`)).rejects.toThrow('ffmpeg ended with')
})

test.each([
  ['hangs', 'exec sleep 1000', 'aborted'],
  ['prints without end', 'exec cat /dev/zero', 'has more than'],
  ['fails', 'printf half; echo "moov atom not found" >&2; exit 1', 'ffmpeg ended with 1: moov atom not found'],
  ['prints nothing', 'exit 0', 'no frame'],
  ['crashes', 'kill -SEGV $$', 'ffmpeg ended with SIGSEGV'],
  ['is not there', 'exec /not/there', 'ffmpeg ended with'],
])('a program that %s makes no frame', async (_, script, message) => {
  const timeMs = script.includes('sleep') ? 300 : 20_000
  await expect(grab(script, { timeMs })).rejects.toThrow(message)
})
