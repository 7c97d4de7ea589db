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
  /** `webhook`: the URL to which it reports events. */
  start(options: { webhook: string }): Promise<void>
  /** Returns its output. */
  output(): string
  stop(): Promise<void>
}

const PROGRAM = process.env.LIVEKIT_SERVER ?? join(homedir(), '.cache', 'hearth', 'livekit-1.9.11', 'server')
const API_KEY = 'hearth'
const SECRET = 'a secret of LiveKit that only tests know'

/** Prepares a livekit-server. It starts later, because it and its Hearth need each other's URLs. */
export async function createLivekitServer(): Promise<LivekitServer> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-livekit-'))
  const port = await freePort()
  let server: ChildProcess | undefined
  let output = ''
  return {
    calls: { livekit: { url: `ws://127.0.0.1:${port}`, api_key: API_KEY, api_secret: SECRET } },
    output: () => output,
    async start({ webhook }) {
      if (!existsSync(PROGRAM)) throw new Error('The tests need livekit-server: bash spec-tests/setup/install.sh')
      const file = join(folder, 'livekit.yaml')
      // JSON is YAML.
      writeFileSync(file, JSON.stringify(await configuration({ port, webhook })))
      const child = spawn(PROGRAM, ['--config', file], { stdio: ['ignore', 'pipe', 'pipe'] })
      server = child
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
      await pollUntil('livekit-server answers', async () => {
        if (child.exitCode !== null) throw new Error(`livekit-server ended with ${child.exitCode}:\n${output}`)
        return (await fetch(`http://127.0.0.1:${port}/`)).ok
      })
    },
    async stop() {
      if (server && server.exitCode === null && server.signalCode === null) {
        const ended = new Promise((resolve) => server!.once('exit', resolve))
        server.kill('SIGKILL')
        await ended
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function configuration({ port, webhook }: { port: number; webhook: string }): Promise<object> {
  const [tcpPort, udpPort] = await Promise.all([freePort(), freePort()])
  return {
    port,
    bind_addresses: ['127.0.0.1'],
    rtc: {
      tcp_port: tcpPort,
      udp_port: udpPort,
      node_ip: '127.0.0.1',
      enable_loopback_candidate: true,
      interfaces: { includes: ['lo'] },
    },
    room: { auto_create: false },
    keys: { [API_KEY]: SECRET },
    webhook: { api_key: API_KEY, urls: [webhook] },
  }
}
