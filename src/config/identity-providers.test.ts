import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../config.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-providers-'))
afterAll(() => rmSync(folder, { recursive: true }))
const secretFile = join(folder, 'secret')
writeFileSync(secretFile, ' a secret \n')

const oidc = { kind: 'oidc', id: 'company', name: 'Company', issuer: 'https://id.example.org', client_id: 'hearth' }
const cas = { kind: 'cas', id: 'campus', name: 'Campus', server_url: 'https://cas.example.org/cas/' }

function load(identity_providers: readonly object[], more: object = {}) {
  const configFile = join(folder, 'hearth.yaml')
  writeFileSync(configFile, JSON.stringify({ identity_providers, ...more }))
  return loadConfig({ configFile, env: {} })
}

describe('identity providers', () => {
  test('have defaults by kind, and secrets from files', () => {
    const [company, campus] = load([{ ...oidc, client_secret_file: secretFile }, cas]).identity_providers
    expect(company).toMatchObject({
      client_secret: 'a secret',
      scopes: ['openid', 'profile', 'email'],
      on_conflict: 'ask_password',
      may_register: true,
      backchannel_logout: 'browser',
      attributes: { localpart: '{preferred_username}', display_name: '{name}', email: '{email}' },
    })
    expect(company).not.toHaveProperty('client_secret_file')
    expect(campus).toMatchObject({
      server_url: 'https://cas.example.org/cas',
      attributes: { localpart: '{user}', display_name: '{displayName}', email: '{mail}' },
    })
    expect(load([oidc]).identity_providers[0]).toMatchObject({ client_secret: undefined })
  })

  test.each<[string, readonly object[], string]>([
    [
      'two of one ID',
      [oidc, { ...cas, id: 'company' }],
      'identity_providers.1.id: identity_providers.0 has this id too',
    ],
    ['an ID with a slash', [{ ...oidc, id: 'a/b' }], 'identity_providers.0.id: expected letters'],
    ['an ID that leads elsewhere', [{ ...oidc, id: '..' }], 'identity_providers.0.id: expected letters'],
    ['another kind', [{ ...oidc, kind: 'saml' }], 'identity_providers.0.kind'],
    ['no issuer', [{ ...oidc, issuer: undefined }], 'identity_providers.0.issuer: is missing'],
    [
      'an issuer that is no web address',
      [{ ...oidc, issuer: 'id.example.org' }],
      'identity_providers.0.issuer: expected',
    ],
    ['scopes without openid', [{ ...oidc, scopes: ['email'] }], 'identity_providers.0.scopes: openid is missing'],
    ['a key of the other kind', [{ ...cas, issuer: 'https://x.example' }], 'identity_providers.0.issuer: unknown key'],
    [
      'a template without a claim',
      [{ ...oidc, attributes: { localpart: 'anna' } }],
      'identity_providers.0.attributes.localpart: expected a template',
    ],
    [
      'a secret in two places',
      [{ ...oidc, client_secret: 'x', client_secret_file: secretFile }],
      'identity_providers.0.client_secret_file: client_secret is set too',
    ],
    [
      'a file that does not exist',
      [{ ...oidc, client_secret_file: join(folder, 'nowhere') }],
      'identity_providers.0.client_secret_file: cannot read',
    ],
  ])('cannot have %s', (_, providers, problem) => expect(() => load(providers)).toThrow(problem))
})

describe('a server without passwords', () => {
  const sign_in = { passwords: 'disabled' }
  test('needs an identity provider, and no registration with a password', () => {
    expect(load([cas], { sign_in }).sign_in.passwords).toBe('disabled')
    expect(() => load([], { sign_in })).toThrow('sign_in.passwords: disabled needs identity_providers')
    const open = { sign_in, registration: { enabled: true } }
    expect(() => load([cas], open)).toThrow('registration.enabled: needs passwords')
  })
})
