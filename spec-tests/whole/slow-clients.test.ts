import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { openConnection, type RawConnection } from '../harness/raw-connection.ts'

/**
 * Clients that are slow, stop half-way or send too much get a response if possible, lose their connection, and delay
 * nobody else.
 */
const LIMIT = 100_000
const PATIENCE_MS = 60_000
let hearth: TestHearth
let user: TestUser

beforeAll(async () => {
  hearth = await startHearth({ config: { limits: { request_size: LIMIT, request_timeout: '2s' } } })
  user = await registerUser(hearth.url)
})
afterAll(() => hearth.dispose())

afterEach(async () => {
  expect((await user.ask('GET', '/_matrix/client/v3/account/whoami')).status).toBe(200)
  expect(hearth.output()).not.toContain('request failed')
})

function head(more: string[], path = '/_matrix/client/v3/createRoom'): string {
  const lines = [`POST ${path} HTTP/1.1`, 'Host: hearth.test', `Authorization: Bearer ${user.accessToken}`, ...more]
  return `${lines.join('\r\n')}\r\n\r\n`
}

async function joinedRooms(): Promise<string[]> {
  return (await user.get('/_matrix/client/v3/joined_rooms')).joined_rooms
}

function closes(connection: RawConnection): Promise<boolean> {
  return pollUntil('the server closes the connection', () => connection.isClosed(), PATIENCE_MS)
}

async function answersAndCloses(connection: RawConnection, status: number, errcode = ''): Promise<void> {
  await closes(connection)
  expect(connection.received()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(connection.received()).toContain(errcode)
}

describe('a body that', () => {
  test('stops half-way', async () => {
    const connection = await openConnection(hearth.url)
    connection.send(`${head(['Content-Length: 20'])}{"name":`)
    await answersAndCloses(connection, 408, 'M_UNKNOWN')
    expect(await joinedRooms()).toEqual([])
  })

  test('trickles', async () => {
    const connection = await openConnection(hearth.url)
    connection.send(head(['Transfer-Encoding: chunked']))
    const trickle = setInterval(() => connection.send('1\r\n \r\n'), 50)
    await answersAndCloses(connection, 408, 'M_UNKNOWN').finally(() => clearInterval(trickle))
    expect(await joinedRooms()).toEqual([])
  })

  test('stops because the client has gone', async () => {
    const connection = await openConnection(hearth.url)
    connection.send(`${head(['Content-Length: 20'])}{"name":`)
    connection.cut()
    await closes(connection)
    expect(await joinedRooms()).toEqual([])
  })

  test('says that it is too long', async () => {
    const connection = await openConnection(hearth.url)
    connection.send(head([`Content-Length: ${LIMIT + 1}`]))
    await answersAndCloses(connection, 413, 'M_TOO_LARGE')
  })

  test('is longer than it may be, without saying so', async () => {
    const connection = await openConnection(hearth.url)
    const chunk = `${LIMIT.toString(16)}\r\n${' '.repeat(LIMIT)}\r\n`
    connection.send(head(['Transfer-Encoding: chunked']) + chunk + chunk)
    await answersAndCloses(connection, 413, 'M_TOO_LARGE')
  })

  test('comes after the answer is forgotten, and the connection goes on', async () => {
    const connection = await openConnection(hearth.url)
    const half = 'x'.repeat(LIMIT / 2)
    connection.send(head([`Content-Length: ${2 * half.length}`]).replace(user.accessToken, 'garbage') + half)
    await pollUntil('the answer comes', () => connection.received().includes('M_UNKNOWN_TOKEN'), PATIENCE_MS)
    connection.send(`${half}GET /_matrix/client/versions HTTP/1.1\r\nHost: hearth.test\r\n\r\n`)
    await pollUntil('the next answer comes', () => connection.received().includes('unstable_features'), PATIENCE_MS)
    connection.cut()
  })

  test('is of an upload and stops', async () => {
    const connection = await openConnection(hearth.url)
    connection.send(`${head(['Content-Length: 20', 'Content-Type: text/plain'], '/_matrix/media/v3/upload')}half`)
    await closes(connection)
    expect(connection.received()).toMatch(/^(HTTP\/1\.1 408 |$)/)
  })
})

function uploadHead(bytes: number): string {
  return head([`Content-Length: ${bytes}`, 'Content-Type: text/plain'], '/_matrix/media/v3/upload')
}

/** Sends pieces of a file at intervals of `pauseMs`, until the server responds. */
async function uploadSlowly(pieces: string[], pauseMs: number): Promise<RawConnection> {
  const connection = await openConnection(hearth.url)
  connection.send(uploadHead(pieces.join('').length))
  for (const piece of pieces) {
    if (connection.received() !== '' || connection.isClosed()) break
    connection.send(piece)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  await pollUntil('it is answered', () => connection.isClosed() || connection.received() !== '', PATIENCE_MS)
  return connection
}

describe('an upload that', () => {
  test('is slow but steady succeeds, long after the time for other bodies', async () => {
    const started = performance.now()
    // Twice the minimum rate.
    const connection = await uploadSlowly(Array(25).fill('x'.repeat(512)), 250)
    expect(performance.now() - started).toBeGreaterThan(6000)
    expect(connection.received()).toMatch(/^HTTP\/1\.1 200 /)
    expect(connection.received()).toContain('mxc://')
    connection.cut()
  })

  test('trickles, though it never stalls, is answered and ends', async () => {
    const connection = await uploadSlowly(Array(200).fill('x'), 250)
    await answersAndCloses(connection, 408, 'M_UNKNOWN')
  })
})

describe('a head that', () => {
  test('stops half-way', async () => {
    const connection = await openConnection(hearth.url)
    connection.send('GET /_matrix/client/versions HTTP/1.1\r\nHost: hear')
    await answersAndCloses(connection, 408)
  })

  test('trickles', async () => {
    const connection = await openConnection(hearth.url)
    connection.send('GET /_matrix/client/versions HTTP/1.1\r\n')
    const trickle = setInterval(() => connection.send('X-More: x\r\n'), 50)
    await answersAndCloses(connection, 408).finally(() => clearInterval(trickle))
  })

  test.each([
    ['has a long field', [`X-Long: ${'x'.repeat(100_000)}`]],
    ['has many fields', Array.from({ length: 10_000 }, (_, i) => `X-${i}: ${i}`)],
  ])('%s', async (_, fields) => {
    const connection = await openConnection(hearth.url)
    connection.send(head(fields))
    await answersAndCloses(connection, 431)
  })

  test('has a long path', async () => {
    const connection = await openConnection(hearth.url)
    connection.send(head([], `/_matrix/client/${'x'.repeat(100_000)}`))
    await answersAndCloses(connection, 431)
  })

  test.each([
    ['is no HTTP', 'hello\r\n\r\n'],
    ['gives two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc'],
    [
      'gives a length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n',
    ],
    ['gives a negative length', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n'],
  ])('%s', async (_, text) => {
    const connection = await openConnection(hearth.url)
    connection.send(text)
    await answersAndCloses(connection, 400)
  })
})

test('five hundred clients that send half a request hold up nobody', async () => {
  const connections = await Promise.all(Array.from({ length: 500 }, () => openConnection(hearth.url)))
  for (const connection of connections) connection.send(`${head(['Content-Length: 20'])}{`)
  const started = performance.now()
  await user.ask('GET', '/_matrix/client/v3/account/whoami')
  expect(performance.now() - started).toBeLessThan(PATIENCE_MS)
  await Promise.all(connections.map(closes))
})
