import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate authority that only tests trust; created by openssl, with files in a temporary folder. */
export type TestAuthority = {
  /** PEM file of its certificate. */
  certificate: string
  /** PEM files for a server of these names or addresses. */
  issue(...hosts: string[]): { certificate: string; key: string }
  dispose(): void
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export function createTestAuthority(): TestAuthority {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-ca-'))
  const file = (name: string) => join(folder, name)
  const openssl = (...parameters: string[]) => execFileSync('openssl', parameters, { cwd: folder, stdio: 'pipe' })
  const certificate = file('ca.crt')
  openssl('req', '-x509', ...EC_KEY, '-keyout', 'ca.key', '-out', certificate, '-days', '2', '-subj', '/CN=Test CA')
  return {
    certificate,
    issue(...hosts) {
      const name = hosts.join('_').replace(/[^\w.-]/g, '_')
      const issued = { certificate: file(`${name}.crt`), key: file(`${name}.key`) }
      if (existsSync(issued.certificate)) return issued
      const names = hosts.map((host) => `${isIP(host) ? 'IP' : 'DNS'}:${host}`)
      writeFileSync(file(`${name}.ext`), `subjectAltName=${names.join(',')}\n`)
      openssl('req', '-new', ...EC_KEY, '-keyout', issued.key, '-out', `${name}.csr`, '-subj', `/CN=${hosts[0]}`)
      const signing = ['-CA', certificate, '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2']
      openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-extfile', `${name}.ext`, '-out', issued.certificate)
      return issued
    },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  }
}
