import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Config, loadConfig } from '../config.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

const whole = {
  id: 'irc',
  url: 'http://localhost:1/irc/',
  as_token: 'as',
  hs_token: 'hs',
  sender_localpart: '_irc_bot',
  namespaces: { users: [{ regex: '@_irc_.*', exclusive: true }] },
}

function load(...registrations: (object | string)[]): Config {
  const files = registrations.map((registration, place) => {
    const file = join(folder, `${place}.yaml`)
    writeFileSync(file, typeof registration === 'string' ? registration : JSON.stringify(registration, null, 1))
    return file
  })
  const configFile = join(folder, 'hearth.yaml')
  writeFileSync(configFile, JSON.stringify({ server_name: 'hearth.test', appservices: files }))
  return loadConfig({ configFile, env: {} })
}

/** https://spec.matrix.org/v1.19/application-service-api/#registration */
describe('the registration of an application service', () => {
  test('has defaults for what it does not say', () => {
    const [irc] = load(whole).appservices
    expect(irc).toMatchObject({
      url: 'http://localhost:1/irc',
      sender: '@_irc_bot:hearth.test',
      isRateLimited: true,
      ephemeralKeys: [],
      receivesToDevice: false,
      receivesDeviceLists: false,
    })
    expect(irc!.namespaces.aliases).toEqual([])
    expect(load({ ...whole, url: null }).appservices[0]!.url).toBe(null)
  })

  test('may ask for more', () => {
    const [old] = load({ ...whole, 'de.sorunome.msc2409.push_ephemeral': true }).appservices
    expect(old).toMatchObject({ ephemeralKeys: ['de.sorunome.msc2409.ephemeral'], receivesToDevice: true })
    expect(old!.acknowledgesToDevice).toBe(false)
    const [encrypting] = load({ ...whole, receive_ephemeral: true, 'org.matrix.msc3202': true }).appservices
    expect(encrypting).toMatchObject({ ephemeralKeys: ['ephemeral'], receivesDeviceLists: true })
    expect(encrypting!.acknowledgesToDevice).toBe(true)
  })

  test.each([
    [{ ...whole, as_token: undefined }, '0.yaml: as_token: is missing'],
    [{ ...whole, as_token: 'a secret' }, '0.yaml:4: as_token: expected a token, without spaces'],
    [{ ...whole, url: 'localhost' }, "0.yaml:3: url: expected a URL such as 'http://localhost:29317'"],
    [{ ...whole, sender_localpart: 'a:b' }, '0.yaml:6: sender_localpart: @a:b:hearth.test is no user id'],
    [
      { ...whole, namespaces: { users: [{ regex: '@(', exclusive: true }] } },
      '0.yaml:10: namespaces.users.0.regex: expected a regular expression',
    ],
    ['id: [', '0.yaml:1: not valid YAML'],
  ])('is refused with a reason: %j', (registration, reason) => {
    expect(() => load(registration)).toThrow(reason)
  })

  test('has an id and a token that no other has', () => {
    const other = { ...whole, id: 'other', as_token: 'other' }
    expect(load(whole, other).appservices).toHaveLength(2)
    expect(() => load(whole, { ...other, id: 'irc' })).toThrow(/1\.yaml has the id of .*0\.yaml/)
    expect(() => load(whole, { ...other, as_token: 'as' })).toThrow(/1\.yaml has the as_token of .*0\.yaml/)
  })
})
