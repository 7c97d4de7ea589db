import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Config, ListenerConfig } from '../../config.ts'
import { listenerUrl } from '../listener-url.ts'
import { fetchJson } from './fetch-json.ts'
import { type Finding, good, problem, warning } from './finding.ts'

const SOON_MS = 14 * 86_400_000

/** Checks that each listener's port is free or Hearth's own, and its certificate valid. `running`: whether a Hearth answers on one of them. */
export async function checkListeners(config: Config): Promise<{ findings: Finding[]; running: boolean }> {
  const each = await Promise.all(config.listeners.map((listener) => checkListener(config, listener)))
  const serves = new Set(config.listeners.flatMap((listener) => listener.serves))
  return {
    running: each.some(({ answers }) => answers),
    findings: [
      ...each.flatMap(({ findings }) => findings),
      ...(serves.has('client') ? [] : [problem('No listener serves clients.', "Add client to a listener's serves.")]),
      ...(config.federation.enabled && !serves.has('federation')
        ? [
            warning(
              'No listener serves federation.',
              'Add federation to a listener, or set federation.enabled to false.',
            ),
          ]
        : []),
    ],
  }
}

async function checkListener(
  config: Config,
  listener: ListenerConfig,
): Promise<{ findings: Finding[]; answers: boolean }> {
  const url = listenerUrl(listener)
  const certificate = listener.tls ? checkCertificate(config, listener.tls.certificate) : []
  const obstacle = await tryToListen(listener)
  if (obstacle === undefined) return { findings: [good(`${url} is free for Hearth`), ...certificate], answers: false }
  if (obstacle !== 'EADDRINUSE') {
    const fix = 'Correct bind and port in listeners. Ports below 1024 need root or a reverse proxy.'
    return { findings: [problem(`Cannot listen on ${url}: ${obstacle}.`, fix), ...certificate], answers: false }
  }
  const health = await fetchJson(config, `${url}/health`, { anyCertificate: true })
  if (health.ok && health.body.status === 'ok')
    return { findings: [good(`Hearth answers on ${url}`), ...certificate], answers: true }
  const fix = 'If it is Hearth, read its log. Otherwise stop the other program, or choose another port in listeners.'
  return {
    findings: [problem(`The program on ${url} is not a healthy Hearth.`, fix), ...certificate],
    answers: false,
  }
}

function tryToListen({ bind, port }: ListenerConfig): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen(port, bind, () => server.close(() => resolve(undefined)))
  })
}

function checkCertificate(config: Config, file: string): Finding[] {
  const certificate = readCertificate(file)
  if (!certificate) return [problem(`${file} is not a certificate in PEM.`, 'Correct tls.certificate of the listener.')]
  const left = new Date(certificate.validTo).getTime() - Date.now()
  const renew = 'Renew it, and restart Hearth.'
  const hosts = [new URL(config.public_base_url).hostname, config.server_name.replace(/:\d+$/, '')]
  return [
    ...(left < 0 ? [problem(`${file} expired on ${certificate.validTo}.`, renew)] : []),
    ...(left >= 0 && left < SOON_MS ? [warning(`${file} expires on ${certificate.validTo}.`, renew)] : []),
    ...(hosts.some((host) => certificate.checkHost(host) ?? certificate.checkIP(host))
      ? []
      : [problem(`${file} is not for ${[...new Set(hosts)].join(' or ')}.`, 'Get a certificate for that name.')]),
  ]
}

function readCertificate(file: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(file))
  } catch {
    return undefined
  }
}
