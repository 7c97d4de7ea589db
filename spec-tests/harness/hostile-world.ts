import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerUser, sendText, type TestUser } from './client.ts'
import { startFederation, type TestFederation } from './federation.ts'
import type { HearthOptions } from './hearth.ts'
import { type Homeserver, type Place, startHomeserver } from './homeserver-places.ts'
import { type MailServer, startMailServer } from './mail-server.ts'
import { createRoom, joinRoom, syncUntil, v3 } from './rooms.ts'
import { type SigningPeer, startSigningPeer } from './signing-peer.ts'
import { slidingClient } from './sliding-client.ts'

/** A homeserver under attack: an attacker's targets, and bystanders who must not be harmed. */
export type HostileWorld = Homeserver & {
  federation: TestFederation
  mails: MailServer
  /** Bystanders: two local users in one public room. */
  alice: TestUser
  bob: TestUser
  roomId: string
  /** A message of Alice in that room. */
  eventId: string
  /** A remote server without software: it sends what a test defines. Its user has joined the room. */
  peer: SigningPeer
}

/** One row of a table of attacks: `attempt` makes the attack and asserts the homeserver's response. */
export type Attack = { name: string; attempt(world: HostileWorld): Promise<void> }

type Options = (federation: TestFederation) => Promise<HearthOptions>
type Setup = Record<string, unknown> | Options

const PLACES: readonly Place[] = ['pglite', 'three-processes']

/** The log messages of a failed request, an unexpected exception, and an unclosed file. */
const FAULT = /a request failed|unexpected exception|unhandled|on garbage collection/i

/** Each attack is made at one place, by turns, to keep the run short; with `ALL_PLACES=1` at both. */
function attacksAt(place: Place, attacks: readonly Attack[]): readonly Attack[] {
  if (process.env.ALL_PLACES === '1') return attacks
  return attacks.filter((_, row) => PLACES[row % PLACES.length] === place)
}

/**
 * Tests a table of attacks against one process on PGlite and against three processes on PostgreSQL: see `attacksAt`.
 * After each attack every process must run and have logged no fault, and messages of bystanders must arrive by both
 * syncs.
 *
 * @param area The target of the attacks.
 * @param attacks The rows.
 * @param setup Further keys of the configuration file, or a function that returns all options of the processes.
 */
export function describeAttacks(area: string, attacks: readonly Attack[], setup: Setup = {}): void {
  const rows = PLACES.map((place) => [place, attacksAt(place, attacks)] as const).filter(([, here]) => here.length > 0)
  describe.each(rows)(`${area} on %s`, (place, here) => {
    let world: HostileWorld
    beforeAll(async () => {
      world = await startHostileWorld(place, typeof setup === 'function' ? setup : async () => ({ config: setup }))
    })
    afterAll(() => world?.federation.dispose())

    test.each(here)('$name', async ({ attempt }) => {
      await attempt(world)
      await expectUnharmed(world)
    })
  })
}

/** Asserts that every process runs, has logged no fault, and delivers a message between bystanders by both syncs. */
async function expectUnharmed({ processes, alice, bob, roomId }: HostileWorld): Promise<void> {
  for (const { pid, output } of processes) {
    expect(() => process.kill(pid, 0), `process ${pid} runs:\n${output()}`).not.toThrow()
    expect(output()).not.toMatch(FAULT)
  }
  const { next_batch: since } = await bob.get(`${v3}/sync?timeout=0`)
  const sliding = slidingClient(bob, { connId: 'bystander' })
  const subscription = { room_subscriptions: { [roomId]: { required_state: [], timeline_limit: 5 } } }
  await sliding.sync(subscription, { pos: null })
  const eventId = await sendText(alice, roomId, 'still here')
  type Events = { event_id: string }[]
  const isIn = (events: Events = []) => events.some((event) => event.event_id === eventId)
  await syncUntil(bob, since, (body) => isIn(body.rooms?.join?.[roomId]?.timeline.events))
  await sliding.until((body) => isIn(body.rooms?.[roomId]?.timeline))
}

/** Starts a homeserver to attack. `world.federation.dispose()` stops it. */
async function startHostileWorld(place: Place, optionsFor: Options): Promise<HostileWorld> {
  const federation = await startFederation()
  try {
    const { config = {}, ...options } = await optionsFor(federation)
    const mails = await startMailServer()
    federation.onDispose(() => mails.stop())
    const email = { smtp_url: mails.url, from: 'hearth@hearth.test', require_tls: false, ...(config.email as object) }
    const started = await startHomeserver(federation, place, { ...options, config: { ...config, email } })
    const [alice, bob] = await Promise.all([registerUser(started.url), registerUser(started.url)])
    const roomId = await createRoom(alice)
    await joinRoom(roomId, bob)
    const eventId = await sendText(alice, roomId, 'hello')
    const peer = await startSigningPeer(federation)
    await peer.join(started.home, roomId)
    return { federation, ...started, mails, alice, bob, roomId, eventId, peer }
  } catch (error) {
    await federation.dispose()
    throw error
  }
}
