import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ConfigError, defaultConfig, loadConfig } from './config.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function write(text: string): string {
  const file = join(folder, `${++files}.yaml`)
  writeFileSync(file, text)
  return file
}

function problemsOf(yaml: string, env: Record<string, string> = {}): string {
  try {
    loadConfig({ configFile: write(yaml), env })
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message.replaceAll(`${folder}/`, '').replace(/^\d+\.yaml/gm, 'FILE')
  }
  throw new Error('the configuration was accepted')
}

describe('without any configuration', () => {
  const config = loadConfig({ env: {} })

  test('the server is http://localhost:8008, only on this machine, with registration off', () => {
    expect(config.server_name).toBe('localhost')
    expect(config.public_base_url).toBe('http://localhost:8008')
    expect(config.listeners).toEqual([
      {
        bind: '127.0.0.1',
        port: 8008,
        serves: ['client', 'federation', 'media', 'admin'],
        trusted_proxies: 1,
      },
    ])
    expect(config.registration.enabled).toBe(false)
    expect(config.database.url).toBeUndefined()
  })

  test('everything is kept in ./data', () => {
    expect(config.data_dir).toBe(join(process.cwd(), 'data'))
    expect(config.signing_key).toBe(join(process.cwd(), 'data/signing.key'))
    expect(config.media.storage_dir).toBe(join(process.cwd(), 'data/media'))
  })

  test('units are bytes and milliseconds', () => {
    expect(config.media.max_upload_size).toBe(50 * 1024 * 1024)
    expect(config.media.async_upload_expiry).toBe(24 * 60 * 60 * 1000)
  })
})

describe('conditions on other keys', () => {
  test.each([
    [{ server_name: 'example.org' }, 'https://example.org'],
    [{ server_name: 'example.org:8448' }, 'https://example.org'],
    [{ server_name: 'localhost', listeners: [{ port: 9000 }] }, 'http://localhost:9000'],
    [{ server_name: '127.0.0.1:8448', listeners: [{ port: 9001 }] }, 'http://127.0.0.1:9001'],
    [{ public_base_url: 'https://matrix.example.org/' }, 'https://matrix.example.org'],
    [
      {
        listeners: [
          { port: 8448, serves: ['federation' as const] },
          { port: 8443, tls: { certificate: 'a', key: 'b' } },
        ],
      },
      'https://localhost:8443',
    ],
  ])('%j is reached at %s', (overrides, url) => {
    expect(defaultConfig(overrides).public_base_url).toBe(url)
  })

  test.each([
    [{ bind: '::1' }, 1],
    [{ bind: '127.0.0.1' }, 1],
    [{ bind: '0.0.0.0' }, 0],
    [{ bind: '10.0.0.1' }, 0],
    [{ bind: '0.0.0.0', trust_forwarded_for: true }, 1],
    [{ bind: '0.0.0.0', trusted_proxies: 2 }, 2],
    [{ bind: '127.0.0.1', trusted_proxies: 3 }, 3],
    [{ bind: '127.0.0.1', trust_forwarded_for: false, trusted_proxies: 2 }, 0],
    [{ bind: '127.0.0.1', trusted_proxies: 0 }, 0],
  ])('a listener with %j believes %i proxies', (listener, trusted) => {
    expect(defaultConfig({ listeners: [{ port: 1, ...listener }] }).listeners[0]!.trusted_proxies).toBe(trusted)
  })
})

describe('a wrong file', () => {
  test.each([
    ['log:\n  levle: info', 'FILE:2: log.levle: unknown key; did you mean log.level?'],
    ['server_nam: a.org', 'FILE:1: server_nam: unknown key; did you mean server_name?'],
    ['max_upload_size: 5M', 'FILE:1: max_upload_size: unknown key; did you mean media.max_upload_size?'],
    ['frobnicate: 5M', 'FILE:1: frobnicate: unknown key'],
    ['listeners:\n  - prot: 8008', 'FILE:2: listeners.0.port: is missing'],
    [
      'listeners:\n  - port: 80\n    serve: [client]',
      'FILE:3: listeners.0.serve: unknown key; did you mean listeners.0.serves?',
    ],
    ['\ndatabase:\n  pool_size: ten', 'FILE:3: database.pool_size: expected number, received string'],
    ['registration: {enabled: yes}', 'FILE:1: registration.enabled: expected true or false, received string'],
    ['server_name: https://a.org', 'FILE:1: server_name: expected a host name in lower case with an optional port'],
    ['media: {max_upload_size: 5 apples}', "FILE:1: media.max_upload_size: expected a size such as '50M'"],
    ['media: {max_upload_size: true}', "FILE:1: media.max_upload_size: expected a size such as '50M'"],
    ['media: {async_upload_expiry: 30}', "FILE:1: media.async_upload_expiry: expected a duration such as '30s'"],
    ['default_room_version: 99', 'FILE:1: default_room_version: expected one of 1, 2, 3'],
    ['log: {level: loud}', 'FILE:1: log.level: expected one of "trace"|"debug"'],
    ['log: loud', 'FILE:1: log: expected object, received string'],
    ['- a', "FILE: expected keys and values such as 'server_name: example.org'"],
    ['a: [', 'FILE:1: not valid YAML: '],
    [
      'listeners: [{port: 80}, {port: 80}]',
      'FILE:1: listeners.1: 127.0.0.1:80 is also the address of listeners.0; choose another port',
    ],
    ['identity_providers: [{kind: saml}]', 'FILE:1: identity_providers.0.kind: expected one of "oidc"|"cas"'],
    [
      'jwt: {algorithm: ES256, public_key: /nowhere/jwt.pem}',
      'FILE:1: jwt.public_key: cannot read /nowhere/jwt.pem: no such file',
    ],
    [
      'account_validity: {period: 365d}',
      'FILE:1: account_validity.renew_by_mail: needs email.smtp_url to send the links',
    ],
    ['alerts: {email: [ops@example.org]}', 'FILE:1: alerts.email: needs email.smtp_url to send alerts'],
    ['alerts: {disk_used: 101}', 'FILE:1: alerts.disk_used: '],
    ['signing_key: /nowhere/signing.key', 'FILE:1: signing_key: cannot read /nowhere/signing.key: no such file'],
    ['appservices: [/nowhere/bridge.yaml]', 'FILE:1: appservices.0: cannot read /nowhere/bridge.yaml: no such file'],
    [
      'listeners:\n- port: 80\n  tls:\n    certificate: /nowhere/c.pem\n    key: /\n',
      'FILE:4: listeners.0.tls.certificate: cannot read /nowhere/c.pem: no such file',
    ],
  ])('%j', (yaml, expected) => {
    expect(problemsOf(yaml)).toContain(expected)
  })

  test('reports all its problems at once, a line each', () => {
    expect(problemsOf('log: {levle: info}\nserver_nam: a').split('\n')).toHaveLength(2)
  })

  test('never shows the password of the database', () => {
    expect(problemsOf('database: {url: "mysql://hearth:hunter2@db/hearth"}')).not.toContain('hunter2')
  })

  test('that cannot be read is named', () => {
    expect(() => loadConfig({ configFile: '/nowhere/hearth.yaml', env: {} })).toThrow(
      '/nowhere/hearth.yaml: cannot read the configuration file: no such file',
    )
    expect(() => loadConfig({ configFile: folder, env: {} })).toThrow('it is a folder')
  })

  test.skipIf(process.getuid?.() === 0)('that may not be read is named', () => {
    const file = write('')
    chmodSync(file, 0)
    expect(() => loadConfig({ configFile: file, env: {} })).toThrow('permission denied')
  })
})

test('empty files and sections mean the defaults', () => {
  expect(loadConfig({ configFile: write(''), env: {} })).toEqual(loadConfig({ env: {} }))
  expect(loadConfig({ configFile: write('log:\ndatabase:\n'), env: {} })).toEqual(loadConfig({ env: {} }))
})

describe('environment variables', () => {
  test('win over the file, section by section', () => {
    const configFile = write('server_name: file.org\nlog: {level: debug, format: json}')
    const config = loadConfig({
      configFile,
      env: { HEARTH_SERVER_NAME: 'env.org', HEARTH_LOG_LEVEL: 'warn', HOME: '/' },
    })
    expect(config.server_name).toBe('env.org')
    expect(config.log).toEqual({ level: 'warn', format: 'json' })
  })

  test('are parsed as the key wants them', () => {
    const config = loadConfig({
      env: {
        HEARTH_REGISTRATION_ENABLED: 'true',
        HEARTH_REGISTRATION_SHARED_SECRET: '12345',
        HEARTH_DATABASE_POOL_SIZE: '3',
        HEARTH_RATE_LIMITS_MESSAGE_PER_SECOND: '0.5',
        HEARTH_DEFAULT_ROOM_VERSION: '11',
        HEARTH_MEDIA_MAX_UPLOAD_SIZE: '1K',
        HEARTH_LISTENERS: '[{"bind": "0.0.0.0", "port": 80}]',
      },
    })
    expect(config.registration).toMatchObject({ enabled: true, shared_secret: '12345' })
    expect(config.database.pool_size).toBe(3)
    expect(config.rate_limits.message).toEqual({ per_second: 0.5, burst: 60 })
    expect(config.default_room_version).toBe('11')
    expect(config.media.max_upload_size).toBe(1024)
    expect(config.listeners[0]).toMatchObject({ bind: '0.0.0.0', port: 80 })
  })

  test('that name no key have no effect, and are listed in one line', () => {
    const warnings: string[] = []
    const env = {
      HEARTH_SERVERNAME: 'a.org',
      HEARTH_LOG: 'debug',
      // Kubernetes sets these in every container, for a service called hearth.
      HEARTH_SERVICE_HOST: '10.0.0.1',
      HEARTH_SERVICE_PORT: '8008',
      HEARTH_SERVICE_PORT_HTTP: '8008',
      HEARTH_PORT: 'tcp://10.0.0.1:8008',
      HEARTH_PORT_8008_TCP: 'tcp://10.0.0.1:8008',
      HEARTH_PORT_8008_TCP_PROTO: 'tcp',
      HEARTH_PORT_8008_TCP_PORT: '8008',
      HEARTH_PORT_8008_TCP_ADDR: '10.0.0.1',
    }
    const config = loadConfig({ env, warn: (line) => warnings.push(line) })
    expect(config).toEqual(loadConfig({ env: {} }))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('HEARTH_SERVERNAME (did you mean HEARTH_SERVER_NAME?)')
    for (const variable of Object.keys(env)) expect(warnings[0]).toContain(variable)
    expect(warnings[0]!.match(/did you mean/g)).toHaveLength(1)
  })

  test('HEARTH_CONFIG names the file', () => {
    expect(loadConfig({ env: { HEARTH_CONFIG: write('server_name: a.org') } }).server_name).toBe('a.org')
  })

  test.each([
    [{ HEARTH_DATABASE_POOL_SIZE: 'x' }, 'HEARTH_DATABASE_POOL_SIZE: database.pool_size: expected number'],
    [{ HEARTH_REGISTRATION_ENABLED: 'maybe' }, 'HEARTH_REGISTRATION_ENABLED: registration.enabled: expected true or'],
    [{ HEARTH_LISTENERS: '[{"port": "x"}]' }, 'HEARTH_LISTENERS: listeners.0.port: expected number'],
    [{ HEARTH_LISTENERS: '[{' }, 'HEARTH_LISTENERS: listeners: expected array'],
  ])('%j is refused', (env, expected) => {
    expect(problemsOf('', env as Record<string, string>)).toContain(expected)
  })
})
