import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { pollUntil } from '../../../../testing/poll-until.ts'
import { formatSigningKey, signingKeyFromSeed } from '../../../core/signing/signing-key.ts'
import { openSigningKeys } from '../../../infra/federation/signing-keys.ts'
import { loadOwnKeys } from '../../../storage/federation/own-keys.ts'
import { createTestApp } from '../../../testing/create-test-app.ts'
import { ownKeyAnswer } from './own-key-answer.ts'
import { rotateSigningKey } from './rotate-signing-key.ts'

const HOUR = 3_600_000
const logger = pino({ level: 'silent' })

async function setUp() {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-keys-'))
  const app = await createTestApp()
  onTestFinished(async () => {
    await app.close()
    rmSync(folder, { recursive: true })
  })
  const file = join(folder, 'signing.key')
  /** Starts a process, as far as its key goes. */
  const start = async () => {
    const keys = await openSigningKeys({ ...app, logger, file })
    onTestFinished(() => keys.stop())
    return keys
  }
  const states = async () => new Map((await loadOwnKeys(app.database)).map((key) => [key.key_id, key.expired_ts]))
  const write = (version: string, seed: number) => {
    const key = signingKeyFromSeed(version, Buffer.alloc(32, seed))
    writeFileSync(file, formatSigningKey(key))
    return key.keyId
  }
  return { app, start, states, write }
}

test('running processes follow a rotation, and a restart keeps the new key', async () => {
  const { app, start, states } = await setUp()
  const processes = [await start(), await start()]
  const old = processes[0]!.current.keyId
  expect(processes[1]!.current.keyId).toBe(old)
  const [current, previous] = await rotateSigningKey(app)
  expect(previous).toMatchObject({ key_id: old, expired_ts: app.clock.now() + HOUR })
  // Before a process signs with the new key, all publish it.
  const published = await ownKeyAnswer({ ...app, signingKeys: processes[0]! })
  expect(Object.keys(published.verify_keys).sort()).toEqual([current!.key_id, old].sort())
  for (const { keyId } of await Promise.all(processes.map((keys) => pollUntilChanged(keys, old))))
    expect(keyId).toBe(current!.key_id)
  expect((await start()).current.keyId).toBe(current!.key_id)
  expect(await states()).toEqual(
    new Map([
      [current!.key_id, null],
      [old, app.clock.now() + HOUR],
    ]),
  )
})

const pollUntilChanged = (keys: Awaited<ReturnType<typeof openSigningKeys>>, old: string) =>
  pollUntil('the new key is in use', () => (keys.current.keyId === old ? undefined : keys.current))

test('a key from a file is replaced by a rotation although the file stays, and by another key in the file', async () => {
  const { app, start, states, write } = await setUp()
  const inFile = write('file', 1)
  const running = await start()
  expect(running.current.keyId).toBe(inFile)
  const [rotated] = await rotateSigningKey(app)
  await pollUntilChanged(running, inFile)
  expect((await start()).current.keyId).toBe(rotated!.key_id)
  const next = write('next', 2)
  expect((await start()).current.keyId).toBe(next)
  expect((await states()).get(rotated!.key_id)).toBe(app.clock.now() + HOUR)
  // The key in the database is not the current one, so the file counts.
  expect((await start()).current.keyId).toBe(next)
})

test('a second rotation within the hour is refused', async () => {
  const { app, start } = await setUp()
  await start()
  await rotateSigningKey(app)
  await expect(rotateSigningKey(app)).rejects.toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' })
  app.clock.advance(HOUR)
  expect(await rotateSigningKey(app)).toHaveLength(3)
})
