import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { defaultConfig } from '../config.ts'
import { formatSigningKey, signingKeyFromSeed } from '../core/signing/signing-key.ts'
import { rotateSigningKey } from '../services/federation/serving/rotate-signing-key.ts'
import { templateFile } from '../testing/test-database.ts'
import { withApp } from './open-configured.ts'

test('a command writes what its app logs to standard error, not into its result', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-command-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const config = { ...defaultConfig(), data_dir: folder, signing_key: join(folder, 'signing.key') }
  mkdirSync(join(folder, 'database'), { mode: 0o700 })
  execFileSync('tar', ['-xf', await templateFile(), '-C', join(folder, 'database')], { stdio: 'pipe' })
  writeFileSync(config.signing_key, formatSigningKey(signingKeyFromSeed('file', Buffer.alloc(32, 1))))
  await withApp(config, rotateSigningKey)
  const [result, log] = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockReturnValue(true),
  )
  onTestFinished(() => void vi.restoreAllMocks())
  await withApp(config, async () => {})
  expect(result).not.toHaveBeenCalled()
  expect(log).toHaveBeenCalledWith(expect.stringContaining('signing key in file was rotated'))
})
