import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'

/** An LDAP server on this machine, with users below `BASE`. */
export type Slapd = {
  /** For `ldap.url`: without TLS, and with it. */
  url: string
  secureUrl: string
  /** Returns the number of binds with a password so far. */
  binds(): number
  /** Stops it; the entries are kept. */
  stop(): Promise<void>
  /** Starts it again on the same ports. */
  start(): Promise<void>
  /** Stops it and removes the entries. */
  dispose(): Promise<void>
}

/** An entry of a user. */
export type LdapUser = { uid: string | string[]; password: string; cn: string; mail?: string; group?: string }

const SLAPD = '/usr/sbin/slapd'
const SLAPADD = '/usr/sbin/slapadd'
export const BASE = 'dc=example,dc=org'
/** The entry as which Hearth searches. Nobody else may read other entries. */
export const SEARCHER = { bind_dn: `cn=hearth,${BASE}`, bind_password: 'the password of the searcher' }

/**
 * Starts slapd from Debian's package on 127.0.0.1 with some users. `tls`: files of its certificate, for the name
 * localhost. Throws if it is not installed.
 */
export async function startSlapd(
  users: readonly LdapUser[],
  tls: { certificate: string; key: string; ca: string },
): Promise<Slapd> {
  if (!existsSync(SLAPD)) throw new Error('The tests need Debian’s package slapd: bash spec-tests/setup/install.sh')
  const folder = mkdtempSync(join(tmpdir(), 'hearth-slapd-'))
  const file = join(folder, 'slapd.conf')
  mkdirSync(join(folder, 'entries'))
  writeFileSync(file, configuration(folder, tls))
  execFileSync(SLAPADD, ['-f', file], { input: ldif(users), stdio: ['pipe', 'pipe', 'pipe'] })
  const [port, securePort] = [await freePort(), await freePort()]
  let server: ChildProcess
  let output = ''

  async function start(): Promise<void> {
    const addresses = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${securePort}`
    // `stats` writes each request to standard error, and keeps slapd in the foreground.
    server = spawn(SLAPD, ['-f', file, '-h', addresses, '-d', 'stats'], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [server.stdout!, server.stderr!]) stream.on('data', (chunk) => (output += chunk))
    await pollUntil('slapd accepts connections', () => {
      if (server.exitCode !== null) throw new Error(`slapd ended with ${server.exitCode}:\n${output}`)
      return accepts(port)
    })
  }

  async function stop(): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGTERM')
    await ended
  }

  await start()
  return {
    url: `ldap://localhost:${port}`,
    secureUrl: `ldaps://localhost:${securePort}`,
    binds: () => output.match(/ BIND dn="uid=[^"]*" method=/g)?.length ?? 0,
    stop,
    start,
    async dispose() {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function configuration(folder: string, tls: { certificate: string; key: string; ca: string }): string {
  const schemas = ['core', 'cosine', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`)
  return `${schemas.join('\n')}
pidfile ${join(folder, 'pid')}
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile ${tls.ca}
TLSCertificateFile ${tls.certificate}
TLSCertificateKeyFile ${tls.key}
database mdb
maxsize 10485760
suffix "${BASE}"
directory ${join(folder, 'entries')}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="${SEARCHER.bind_dn}" read by self read by * none
`
}

function ldif(users: readonly LdapUser[]): string {
  const searcher = `dn: ${SEARCHER.bind_dn}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: hearth
userPassword: ${SEARCHER.bind_password}`
  const entries = users.map(({ uid, password, cn, mail, group }) => {
    const uids = [uid].flat()
    return [
      line('dn', `uid=${uids[0]!.replaceAll(',', '\\,')},ou=people,${BASE}`),
      'objectClass: inetOrgPerson',
      ...uids.map((each) => line('uid', each)),
      line('cn', cn),
      line('sn', cn),
      ...(mail === undefined ? [] : [line('mail', mail)]),
      ...(group === undefined ? [] : [line('employeeType', group)]),
      line('userPassword', password),
    ].join('\n')
  })
  const base = `dn: ${BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example`
  const people = `dn: ou=people,${BASE}\nobjectClass: organizationalUnit\nou: people`
  return [base, searcher, people, ...entries, ''].join('\n\n')
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** In Base64, because LDIF is ASCII. */
function line(attribute: string, value: string): string {
  return `${attribute}:: ${Buffer.from(value).toString('base64')}`
}
