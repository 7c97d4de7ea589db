import { WebSocket } from 'ws'
import { type Draw, drawFrom, stepSeed } from './draw.ts'
import type { Findings } from './findings.ts'
import type { FuzzWorld } from './fuzz-world.ts'
import { hostileJson, hostileText, writeJson } from './hostile-json.ts'
import { type Actor, createKnownValues } from './known-values.ts'
import type { Lane } from './lane.ts'
import { mutate } from './mutate.ts'
import { recaller } from './recall.ts'
import { fillIn, type Kind } from './references.ts'
import { drawSlidingBody } from './sliding-values.ts'
import type { Tally } from './tally.ts'

export type SocketLaneOptions = {
  world: FuzzWorld
  seed: number
  index: number
  tally: Tally
  findings: Findings
  /** The lanes of users, whose tokens it uses. */
  lanes: readonly Lane[]
  counts: { socketMessages: number }
}

/** A connection, and the server's messages on it. */
type Conversation = { socket: WebSocket; sent: string[]; pos?: string }

const PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'
export const SOCKET_OPERATION = `GET ${PATH}`
const OPENING_MS = 60_000
/** A valid request is answered immediately; an invalid message closes the connection. */
const PAUSE_MS = 400

/**
 * Opens sliding sync WebSockets, one after the other: messages in and out of order, valid and invalid, and connections
 * that break.
 */
export function createSocketLane(options: SocketLaneOptions): { step(): Promise<void> } {
  let steps = 0
  return {
    async step() {
      const number = steps++
      const draw = drawFrom(stepSeed(options.seed, options.index, number))
      await converse(options, draw, `FUZZ_SEED=${options.seed}, lane ${options.index} of sockets, step ${number}`)
    },
  }
}

async function converse(options: SocketLaneOptions, draw: Draw, at: string): Promise<void> {
  const lane = draw.pick(options.lanes)
  const actor = draw.pick(lane.actors)
  const recall = recallerFor(options, draw, { lane, actor })
  const isInHeader = draw.happens(0.7)
  const headers = isInHeader ? { Authorization: `Bearer ${draw.happens(0.95) ? actor.token : 'x'}` } : {}
  const talk: Conversation = {
    socket: new WebSocket(options.world.url.replace(/^http/, 'ws') + PATH, { headers }),
    sent: [],
  }
  listen(talk, options.findings, at)
  const status = await opened(talk.socket)
  options.tally.count(SOCKET_OPERATION, status, status !== 200)
  if (status >= 500) options.findings.add({ kind: `${SOCKET_OPERATION} answers ${status}`, detail: '', at })
  const say = (message: unknown) => {
    if (talk.socket.readyState !== WebSocket.OPEN) return
    const text = writeJson(fillIn(message, recall))
    talk.sent.push(text.slice(0, 500))
    options.counts.socketMessages++
    talk.socket.send(draw.happens(0.05) ? Buffer.from(text) : text)
  }
  if (!isInHeader && draw.happens(0.9)) say({ type: 'authenticate', access_token: actor.token })
  for (let left = 1 + draw.below(5); left > 0 && talk.socket.readyState === WebSocket.OPEN; left--) {
    say(drawMessage(draw, talk))
    await new Promise((resolve) => setTimeout(resolve, draw.below(PAUSE_MS)))
  }
  if (draw.happens(0.5)) talk.socket.terminate()
  else talk.socket.close()
}

type Speaker = { lane: Lane; actor: Actor }

function recallerFor({ world }: SocketLaneOptions, draw: Draw, { lane, actor }: Speaker): (kind: Kind) => string {
  const { known, actors } = lane
  const elsewhere = { rooms: [], users: [], server: 'elsewhere.test' }
  const room = known.rooms.at(-1) ?? world.shared
  return recaller({ draw, world, known, personal: createKnownValues(), actor, actors, room, elsewhere })
}

function drawMessage(draw: Draw, { pos }: Conversation): unknown {
  const request = { ...drawSlidingBody(draw, 'stable'), ...(pos !== undefined && draw.happens(0.7) && { pos }) }
  const message = draw.happens(0.8)
    ? { type: 'request', request }
    : { type: 'ack', pos: draw.happens(0.7) ? (pos ?? 'x') : draw.value(hostileText) }
  if (draw.happens(0.65)) return message
  return draw.happens(0.1) ? draw.value(hostileJson) : mutate(draw, message)
}

/** Keeps the last position, and records messages that only a fault of the server can cause. */
function listen(talk: Conversation, findings: Findings, at: string): void {
  talk.socket.on('error', () => {})
  talk.socket.on('message', (data) => {
    const { type, errcode, response } = JSON.parse(String(data))
    if (type === 'response') talk.pos = response.pos
    if (type !== 'error' || errcode !== 'M_UNKNOWN') return
    findings.add({ kind: 'a WebSocket is told of an internal error', detail: talk.sent.join('\n'), at })
  })
}

/** Waits until it is open or refused, and returns the status of the refusal, or 200. */
function opened(socket: WebSocket): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('a WebSocket is not opened')), OPENING_MS)
    const end = (status: number) => {
      clearTimeout(timer)
      resolve(status)
    }
    socket.once('open', () => end(200))
    socket.once('unexpected-response', (_, response) => {
      end(response.statusCode ?? 0)
      response.destroy()
    })
    socket.once('close', () => end(400))
  })
}
