import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'

/** A TURN server on this machine. */
export type Coturn = {
  /** For `turn.uris`. */
  uri: string
  stop(): Promise<void>
}

const COTURN = '/usr/bin/turnserver'

/**
 * Starts coturn from Debian's package on 127.0.0.1, with credentials from a shared secret. Throws if it is not
 * installed.
 */
export async function startCoturn(sharedSecret: string): Promise<Coturn> {
  if (!existsSync(COTURN)) throw new Error('The tests need Debian’s package coturn: bash spec-tests/setup/install.sh')
  const folder = mkdtempSync(join(tmpdir(), 'hearth-coturn-'))
  const port = await freePort()
  const options = {
    'listening-ip': '127.0.0.1',
    'relay-ip': '127.0.0.1',
    'listening-port': String(port),
    'static-auth-secret': sharedSecret,
    realm: 'hearth.test',
    'log-file': 'stdout',
    pidfile: join(folder, 'pid'),
    userdb: join(folder, 'db'),
  }
  const flags = ['-n', '--use-auth-secret', '--no-tls', '--no-dtls', '--no-cli', '--allow-loopback-peers']
  const settings = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
  const server = spawn(COTURN, [...flags, ...settings], { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder })
  let output = ''
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (output += chunk))
  const ended = new Promise((resolve) => server.once('exit', resolve))
  await pollUntil('coturn answers', () => {
    if (server.exitCode !== null) throw new Error(`coturn ended with ${server.exitCode}:\n${output}`)
    return answersBinding(port)
  })
  return {
    uri: `turn:127.0.0.1:${port}?transport=udp`,
    async stop() {
      server.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const BINDING_REQUEST = Buffer.from('000100002112a442', 'hex')

/** Returns whether a STUN server answers on a local UDP port within a moment. */
async function answersBinding(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  try {
    return await new Promise<boolean>((resolve) => {
      socket.on('error', () => resolve(false))
      socket.on('message', () => resolve(true))
      socket.send(Buffer.concat([BINDING_REQUEST, randomBytes(12)]), port, '127.0.0.1')
      setTimeout(() => resolve(false), 200)
    })
  } finally {
    socket.close()
  }
}
