import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'

/** An S3-compatible store on this machine, with one bucket. */
export type Versitygw = {
  /** For `media.s3`: all keys that a Hearth needs. */
  config: Record<string, unknown>
  /** Returns the names of the stored objects, with their prefixes. */
  objects(): string[]
  /** Returns the names of files of multipart uploads that are neither complete nor aborted. */
  unfinishedParts(): string[]
  /** Ends it immediately, in the middle of requests. */
  kill(): Promise<void>
  /** Starts it again with the same objects and port. */
  restart(): Promise<void>
  /** Stops it and removes its objects. */
  stop(): Promise<void>
}

const PROGRAM = process.env.VERSITYGW ?? join(homedir(), '.cache', 'hearth', 'versitygw-1.8.0', 'versitygw')
const BUCKET = 'hearth-media'
const ACCESS = { ROOT_ACCESS_KEY: 'hearth', ROOT_SECRET_KEY: 'a secret of the tests' }
/** Where it keeps parts, inside the bucket. */
const INTERNAL = '.sgwtmp'

/** Starts versitygw on 127.0.0.1 with its objects in a folder. Throws if it is not installed. */
export async function startVersitygw(): Promise<Versitygw> {
  if (!existsSync(PROGRAM)) throw new Error('The tests need versitygw: bash spec-tests/setup/install.sh')
  const folder = mkdtempSync(join(tmpdir(), 'hearth-versitygw-'))
  const bucket = join(folder, BUCKET)
  mkdirSync(bucket)
  const port = await freePort()
  let server: ChildProcess
  let output = ''

  async function start(): Promise<void> {
    server = spawn(PROGRAM, ['--port', `127.0.0.1:${port}`, 'posix', folder], {
      env: { ...process.env, ...ACCESS },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [server.stdout!, server.stderr!]) stream.on('data', (chunk) => (output += chunk))
    await pollUntil('versitygw answers', async () => {
      if (server.exitCode !== null) throw new Error(`versitygw ended with ${server.exitCode}:\n${output}`)
      // Without credentials it refuses, which is an answer.
      return (await fetch(`http://127.0.0.1:${port}/`)).status > 0
    })
  }

  async function kill(): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGKILL')
    await ended
  }

  await start()
  return {
    config: {
      endpoint: `http://127.0.0.1:${port}`,
      bucket: BUCKET,
      prefix: 'some/folder/',
      access_key_id: ACCESS.ROOT_ACCESS_KEY,
      secret_access_key: ACCESS.ROOT_SECRET_KEY,
    },
    objects: () => filesIn(bucket).filter((name) => !name.startsWith(INTERNAL)),
    unfinishedParts: () => filesIn(bucket).filter((name) => name.startsWith(`${INTERNAL}/multipart`)),
    kill,
    restart: start,
    async stop() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
}
