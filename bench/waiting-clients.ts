import { Agent, request } from 'node:http'
import { json } from 'node:stream/consumers'
import { WebSocket } from 'ws'

// Clients that only wait for messages, in a process of their own. It receives the clients over its channel, and reports
// when all wait, and when each has received a message.

/** How the clients wait, and their access tokens. */
export type Crowd = { way: 'long polling' | 'WebSocket'; url: string; roomId: string; tokens: readonly string[] }
/**
 * Reports of the process: all clients wait, or when (in milliseconds since 1970) each received the message with this
 * text.
 */
export type CrowdNews = { kind: 'ready' } | { kind: 'received'; text: string; times: number[] }

type Body = { pos: string; rooms: Record<string, { timeline?: { content: { body?: string } }[] }>; extensions: Told }
type Told = { to_device?: { next_batch: string } }
type Hear = (body: Body) => void

/** The request of a client that shows a list of rooms with the last message of each, with the encryption extensions. */
const LISTS = {
  rooms: {
    range: [0, 19],
    timeline_limit: 1,
    required_state: { include: [{ type: 'm.room.name' }, { type: 'm.room.encryption' }], lazy_members: true },
  },
}
const asking = (since: string | undefined) => ({
  lists: LISTS,
  extensions: {
    to_device: { enabled: true, since },
    ...Object.fromEntries(['e2ee', 'account_data', 'receipts', 'typing'].map((name) => [name, { enabled: true }])),
  },
})

const tell = (news: CrowdNews) => process.send!(news)
process.on('disconnect', () => process.exit(0))
process.once('message', (crowd: Crowd) => {
  let waiting = 0
  const received = new Map<string, number[]>()
  const heard = () => {
    let isFirst = true
    return (body: Body) => {
      const now = performance.timeOrigin + performance.now()
      for (const { content } of body.rooms[crowd.roomId]?.timeline ?? []) note(content.body ?? '', now)
      if (isFirst && ++waiting === crowd.tokens.length) tell({ kind: 'ready' })
      isFirst = false
    }
  }
  function note(text: string, now: number): void {
    const times = received.get(text) ?? []
    received.set(text, times)
    if (times.push(now) === crowd.tokens.length) tell({ kind: 'received', text, times })
  }
  const agent = new Agent({ keepAlive: true })
  for (const token of crowd.tokens) {
    const hear = heard()
    if (crowd.way === 'WebSocket') talk(crowd, token, hear)
    else poll(crowd, { token, agent }, hear).catch(fail)
  }
})

function fail(error: unknown): never {
  console.error(error)
  process.exit(1)
}

async function poll({ url }: Crowd, { token, agent }: { token: string; agent: Agent }, hear: Hear): Promise<never> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  let pos: string | undefined
  let since: string | undefined
  for (;;) {
    const body = await new Promise<Body>((resolve, reject) => {
      const sent = request(`${url}/_matrix/client/v4/sync`, { method: 'POST', headers, agent }, (answer) => {
        if (answer.statusCode === 200) json(answer).then((it) => resolve(it as Body), reject)
        else reject(new Error(`answered with ${answer.statusCode}`))
      })
      sent.on('error', reject)
      sent.end(JSON.stringify({ pos, timeout: 300_000, ...asking(since) }))
    })
    pos = body.pos
    since = body.extensions.to_device?.next_batch
    hear(body)
  }
}

function talk({ url }: Crowd, token: string, hear: Hear): void {
  const path = '/_matrix/client/unstable/hearth.sliding_sync_websocket'
  const socket = new WebSocket(url.replace('http', 'ws') + path, { headers: { authorization: `Bearer ${token}` } })
  socket.on('open', () => socket.send(JSON.stringify({ type: 'request', request: asking(undefined) })))
  socket.on('message', (data) => {
    const message = JSON.parse(String(data))
    if (message.type !== 'response') fail(message)
    socket.send(JSON.stringify({ type: 'ack', pos: message.response.pos }))
    hear(message.response)
  })
  socket.on('error', fail)
  socket.on('close', (code) => fail(new Error(`closed with ${code}`)))
}
