import { connect, createServer, type Server, type Socket } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../../testing/free-port.ts'
import { pollUntil } from '../../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../../testing/postgres.ts'
import { listenPostgres } from './listen-postgres.ts'

/** Leads to PostgreSQL, or holds new connections without an answer. */
let relay: Server
let isHolding = false
const sockets = new Set<Socket>()
let postgres: TestPostgres
let direct: string
let relayed: string

beforeAll(async () => {
  const port = await freePort()
  postgres = await startPostgres()
  direct = await postgres.createDatabase()
  const target = new URL(direct)
  const [postgresPort, host] = [Number(target.port), target.hostname]
  relay = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.on('close', () => sockets.delete(socket))
    if (isHolding) return socket.resume()
    const server = connect(postgresPort, host).on('error', () => socket.destroy())
    socket.on('close', () => server.destroy())
    return socket.pipe(server).pipe(socket)
  })
  await new Promise<void>((resolve) => relay.listen(port, '127.0.0.1', resolve))
  target.port = String(port)
  relayed = target.href
})
afterAll(async () => {
  relay.close()
  for (const socket of sockets) socket.destroy()
  await postgres.stop()
})

async function query(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: direct })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const hints: string[] = []
const listen = () =>
  listenPostgres({ url: relayed, channel: 'hints', onHint: (hint) => hints.push(hint), reportError: () => {} })

async function heard(hint: string): Promise<void> {
  await pollUntil(`${hint} is heard`, async () => {
    await query(`notify hints, '${hint}'`)
    return hints.includes(hint)
  })
}

test('hints arrive, also after the connection was lost, and not after the end', async () => {
  const stop = await listen()
  await heard('first')
  for (const socket of sockets) socket.destroy()
  await heard('second')
  await stop()
  await pollUntil('the connection has ended', async () => {
    const open = await query(`select 1 from pg_stat_activity where application_name = 'hearth listener'`)
    return open.length === 0
  })
})

test('a stop while a connection is being opened closes that connection', async () => {
  const stop = await listen()
  isHolding = true
  const [lost] = sockets
  lost!.destroy()
  const held = await pollUntil('it connects again', async () => [...sockets].find((socket) => socket !== lost))
  await stop()
  await pollUntil('the connection is closed', async () => held.closed)
  expect(sockets.size).toBe(0)
})
