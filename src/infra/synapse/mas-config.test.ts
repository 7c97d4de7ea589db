import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readMasConfig } from './mas-config.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-mas-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

test('has the database, the ways of hashing passwords and the names of providers in Synapse', () => {
  write('password', 'hunter2\n')
  write('secret', 'binary\n')
  const file = write(
    'config.yaml',
    `
database: { host: db.test, port: 5433, username: mas, password_file: password, database: mas, ssl_mode: require }
passwords:
  schemes:
    - { version: 1, algorithm: bcrypt, unicode_normalization: true, secret: pepper }
    - { version: 2, algorithm: argon2id, secret_file: secret }
upstream_oauth2:
  providers:
    - { id: 01hfvbyd1yg5nzzzzzzzzzzzzz, issuer: "https://id.test", synapse_idp_id: oidc-corporate }
    - { id: 01HFVBYD1YG5NYYYYYYYYYYYYY, issuer: "https://other.test" }
`,
  )
  const config = readMasConfig(file)
  expect(config.database).toEqual({
    engine: 'postgresql',
    connection: {
      ...{ user: 'mas', password: 'hunter2', database: 'mas', host: 'db.test', port: 5433 },
      ssl: { rejectUnauthorized: false },
    },
  })
  expect(config.schemes).toEqual([
    { version: 1, algorithm: 'bcrypt', secret: Buffer.from('pepper') },
    { version: 2, algorithm: 'argon2id', secret: Buffer.from('binary\n') },
  ])
  expect([...config.synapseProviders]).toEqual([['01HFVBYD1YG5NZZZZZZZZZZZZZ', 'oidc-corporate']])
  const given = readMasConfig(file, 'postgres://elsewhere/mas')
  expect(given.database).toMatchObject({ connection: { connectionString: 'postgres://elsewhere/mas' } })
})

test('has the defaults of MAS, and says what cannot be read', () => {
  const empty = readMasConfig(write('empty.yaml', 'http: {}'))
  expect(empty.schemes).toEqual([{ version: 1, algorithm: 'argon2id', secret: Buffer.alloc(0) }])
  expect(() => readMasConfig(join(folder, 'missing.yaml'))).toThrow(/Cannot read .*missing\.yaml/)
  const wrong = write('wrong.yaml', 'passwords: { schemes: [{ version: 1, algorithm: md5 }] }')
  expect(() => readMasConfig(wrong)).toThrow(/passwords\.schemes\.0\.algorithm/)
})
