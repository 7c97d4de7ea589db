import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'

/** A LiveKit on this machine, whose media stay on the loopback interface. */
export type LivekitServer = {
  /** The section `calls` of a Hearth, as docs/calls.md gives it. */
  calls: { livekit: { url: string; api_key: string; api_secret: string } }
  /** Returns its output. */
  output(): string
  stop(): Promise<void>
}

const PROGRAM = process.env.LIVEKIT_SERVER ?? join(homedir(), '.cache', 'hearth', 'livekit-1.9.11', 'server')
const API_KEY = 'hearth'
const SECRET = 'a secret of LiveKit that only tests know'

/** Starts livekit-server. `webhook`: the URL to which it reports events. Throws if it is not installed. */
export async function startLivekitServer({ webhook }: { webhook?: string } = {}): Promise<LivekitServer> {
  if (!existsSync(PROGRAM)) throw new Error('The tests need livekit-server: bash spec-tests/setup/install.sh')
  const folder = mkdtempSync(join(tmpdir(), 'hearth-livekit-'))
  const [port, tcpPort, udpPort] = await Promise.all([freePort(), freePort(), freePort()])
  const file = join(folder, 'livekit.yaml')
  const interfaces = { includes: ['lo'] }
  const rtc = {
    tcp_port: tcpPort,
    udp_port: udpPort,
    node_ip: '127.0.0.1',
    enable_loopback_candidate: true,
    interfaces,
  }
  const config = {
    port,
    bind_addresses: ['127.0.0.1'],
    rtc: { ...rtc, use_external_ip: false },
    room: { auto_create: false },
    keys: { [API_KEY]: SECRET },
    ...(webhook && { webhook: { api_key: API_KEY, urls: [webhook] } }),
  }
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config))
  let output = ''
  const server: ChildProcess = spawn(PROGRAM, ['--config', file], { stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [server.stdout!, server.stderr!]) stream.on('data', (chunk) => (output += chunk))
  const ended = new Promise((resolve) => server.once('exit', resolve))
  await pollUntil('livekit-server answers', async () => {
    if (server.exitCode !== null) throw new Error(`livekit-server ended with ${server.exitCode}:\n${output}`)
    return (await fetch(`http://127.0.0.1:${port}/`)).ok
  })
  return {
    calls: { livekit: { url: `ws://127.0.0.1:${port}`, api_key: API_KEY, api_secret: SECRET } },
    output: () => output,
    async stop() {
      server.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
