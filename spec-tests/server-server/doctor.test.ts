import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { startSynapse, type TestSynapse } from '../harness/synapse.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
let hearth: TestHearth
let synapse: TestSynapse
beforeAll(async () => {
  federation = await startFederation()
  ;[hearth, synapse] = await Promise.all([federation.hearth(), startSynapse(federation)])
})
afterAll(() => federation.dispose())

function doctor(...words: string[]): Promise<{ code: number; stdout: string }> {
  const program = join(import.meta.dirname, '../../bin/hearth')
  return new Promise((resolve) =>
    execFile(program, ['doctor', '--config', hearth.configFile, ...words], (error, stdout) =>
      resolve({ code: Number(error?.code ?? 0), stdout }),
    ),
  )
}

test('the way to a Synapse and back is found to be well', async () => {
  const { code, stdout } = await doctor('--federation', synapse.serverName)
  expect(stdout).toContain(`✓ ${synapse.serverName} is at ${synapse.serverName}, with a trusted certificate`)
  expect(stdout).toContain('✓ Its keys are valid: ed25519:a_test')
  expect(stdout).toMatch(/✓ It runs Synapse \d/)
  expect(stdout).toContain(`✓ ${synapse.serverName} reaches ${hearth.serverName} and has its keys`)
  expect([code, stdout.trim().split('\n').at(-1)]).toEqual([0, '0 problems, 0 warnings'])
})

test('this server is found under its own name', async () => {
  expect((await doctor()).stdout).toContain(`✓ Other servers reach ${hearth.serverName}, at ${hearth.serverName}`)
})

test('problems are named with their fix', async () => {
  const nobody = await doctor('--federation', 'localhost:1')
  expect(nobody.stdout).toMatch(
    /✗ localhost:1 is at localhost:1, but cannot be used: .*ECONNREFUSED.*\n {4}→ Nothing listens there/,
  )
  expect(nobody.code).toBe(1)

  const trusting = JSON.stringify({ trusted_certificates: [], allow_private_addresses: true })
  const distrusting = join(hearth.configFile, '..', 'distrusting.yaml')
  writeFileSync(distrusting, `server_name: ${hearth.serverName}\nfederation: ${trusting}\n`)
  const unknown = await doctor('--config', distrusting, '--federation', synapse.serverName)
  expect(unknown.stdout).toMatch(/cannot be used: .*certificate.*\n {4}→ .*(authority|chain)/)
  const cautious = join(hearth.configFile, '..', 'cautious.yaml')
  writeFileSync(cautious, `server_name: ${hearth.serverName}\n`)
  const refused = await doctor('--config', cautious, '--federation', synapse.serverName)
  expect(refused.stdout).toMatch(/cannot be used: .*address.*\n {4}→ .*allow_private_addresses/)
})

test('a server that does not trust our certificate is found not to reach us', async () => {
  const stranger = await startSynapse(federation, { federation_custom_ca_list: undefined })
  const { code, stdout } = await doctor('--federation', stranger.serverName)
  expect(stdout).toContain(`✗ ${stranger.serverName} does not reach ${hearth.serverName}.\n    → `)
  expect(code).toBe(1)
})
