import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../config.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-calls-'))
afterAll(() => rmSync(folder, { recursive: true }))

function load(livekit: object) {
  const configFile = join(folder, 'hearth.yaml')
  writeFileSync(configFile, JSON.stringify({ calls: { livekit } }))
  return loadConfig({ configFile, env: {} }).calls.livekit
}

const url = 'wss://livekit.example.org/'
const DEFAULTS = { grace_period: 30_000 }

describe('calls.livekit', () => {
  it('is absent by default', () => {
    expect(load({})).toEqual(DEFAULTS)
  })

  it('takes a secret, or reads it from a file', () => {
    const file = join(folder, 'secret')
    writeFileSync(file, 'the secret\n')
    const expected = { ...DEFAULTS, url: 'wss://livekit.example.org', api_key: 'key', api_secret: 'the secret' }
    expect(load({ url, api_key: 'key', api_secret: 'the secret' })).toEqual(expected)
    expect(load({ url, api_key: 'key', api_secret_file: file })).toEqual(expected)
  })

  it.each<[string, object, string]>([
    ['without a key', { url, api_secret: 's' }, 'calls.livekit.api_key: is missing'],
    ['without a secret', { url, api_key: 'k' }, 'either api_secret or api_secret_file'],
    ['with two secrets', { url, api_key: 'k', api_secret: 's', api_secret_file: 'f' }, 'either api_secret or'],
    ['with a URL of no WebSocket', { url: 'https://x.example', api_key: 'k', api_secret: 's' }, 'wss://'],
    ['with a missing file', { url, api_key: 'k', api_secret_file: '/nonexistent' }, 'cannot read /nonexistent'],
    ['with an empty file', { url, api_key: 'k', api_secret_file: '/dev/null' }, '/dev/null is empty'],
  ])('is refused %s', (_, livekit, message) => {
    expect(() => load(livekit)).toThrow(message)
  })
})
