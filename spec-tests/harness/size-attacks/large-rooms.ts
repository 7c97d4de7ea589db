import { expect } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { joinAsPeer } from '../peer-speaker.ts'
import { createRoom, joinRoom, roomPath, sendState, v3 } from '../rooms.ts'
import { KIB, text } from './sizes.ts'

/** The limit in these tests of a page of a space; a single room may exceed it. */
const PAGE = 400 * KIB
/** The limit of very long texts in lists. */
const SHOWN = 5 * KIB

const VERSION = '12'

// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
type Body = any

const aSpace = (user: TestUser) => createRoom(user, { preset: 'public_chat', creation_content: { type: 'm.space' } })

/** A local server, so that no other one is asked. */
const serverOf = ({ userId }: TestUser) => userId.slice(userId.indexOf(':') + 1)
const noRoom = (user: TestUser, place: number) => `!none${place}:${serverOf(user)}`

const addChild = (user: TestUser, space: string, roomId: string, more: object = {}) =>
  sendState(user, space, { type: 'm.space.child', key: roomId, content: { via: [serverOf(user)], ...more } })

async function hierarchyOf(user: TestUser, space: string): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = []
  let pages = 0
  let from: string | undefined
  do {
    const query = from === undefined ? '' : `?from=${encodeURIComponent(from)}`
    const body: Body = await user.get(`/_matrix/client/v1/rooms/${encodeURIComponent(space)}/hierarchy${query}`)
    expect(JSON.stringify(body).length).toBeLessThan(PAGE)
    ids.push(...body.rooms.map(({ room_id }: Body) => room_id))
    from = body.next_batch
    pages++
  } while (from !== undefined)
  return { ids, pages }
}

/** Creates a public room of an attacker whose member, name and topic are as long as an event allows. */
async function showyRoom(url: string): Promise<{ attacker: TestUser; roomId: string; long: string }> {
  const attacker = await registerUser(url)
  const roomId = await createRoom(attacker, { preset: 'public_chat', visibility: 'public' })
  const long = text(60 * KIB)
  await sendState(attacker, roomId, { type: 'm.room.name', content: { name: long } })
  await sendState(attacker, roomId, { type: 'm.room.topic', content: { topic: long } })
  const content = { membership: 'join', displayname: long }
  await sendState(attacker, roomId, { type: 'm.room.member', key: attacker.userId, content })
  return { attacker, roomId, long }
}

/** Rooms with large descriptions. */
export const largeRooms: Attack[] = [
  {
    name: 'a space with many large children',
    async attempt({ url }) {
      const attacker = await registerUser(url)
      const space = await aSpace(attacker)
      const children = Array.from({ length: 20 }, (_, place) => noRoom(attacker, place))
      await Promise.all(children.map((child) => addChild(attacker, space, child, { padding: text(30 * KIB) })))
      const small = await createRoom(attacker, { preset: 'public_chat' })
      await addChild(attacker, space, small)
      expect((await hierarchyOf(attacker, space)).ids).toEqual([space, small])
    },
  },
  {
    name: 'made-up places in a space to go on from',
    async attempt({ url }) {
      const attacker = await registerUser(url)
      const space = await aSpace(attacker)
      const inner = await Promise.all(Array.from({ length: 12 }, () => aSpace(attacker)))
      for (const child of inner) for (const other of inner) await addChild(attacker, child, other)
      await addChild(attacker, space, inner[0]!)
      const from = encodeURIComponent('h1_50_a_!made-up:example.org')
      const path = `/_matrix/client/v1/rooms/${encodeURIComponent(space)}/hierarchy?from=${from}`
      const answers = await Promise.all(Array.from({ length: 20 }, () => attacker.ask('GET', path)))
      expect(answers.map(({ status, body }) => `${status} ${body.errcode}`)).toEqual(
        answers.map(() => '400 M_INVALID_PARAM'),
      )
      expect([...(await hierarchyOf(attacker, space)).ids].sort()).toEqual([space, ...inner].sort())
    },
  },
  {
    name: 'a space of many large spaces comes in pages',
    async attempt({ url }) {
      const attacker = await registerUser(url)
      const space = await aSpace(attacker)
      const inner = await Promise.all(Array.from({ length: 8 }, () => aSpace(attacker)))
      for (const child of inner) {
        await addChild(attacker, space, child)
        await addChild(attacker, child, noRoom(attacker, inner.indexOf(child)), { padding: text(60 * KIB) })
      }
      const { ids, pages } = await hierarchyOf(attacker, space)
      expect([...ids].sort()).toEqual([space, ...inner].sort())
      expect(pages).toBeGreaterThan(2)
    },
  },
  {
    name: 'a large space as a filter of sliding sync',
    async attempt({ url }) {
      const attacker = await registerUser(url)
      const space = await aSpace(attacker)
      await Promise.all(
        Array.from({ length: 30 }, (_, place) =>
          addChild(attacker, space, noRoom(attacker, place), { padding: text(30 * KIB) }),
        ),
      )
      const inside = await createRoom(attacker)
      await addChild(attacker, space, inside)
      const list = { ranges: [[0, 9]], required_state: [], timeline_limit: 1, filters: { spaces: [space] } }
      const body = await attacker.post('/_matrix/client/unstable/org.matrix.simplified_msc3575/sync', {
        lists: { all: list },
      })
      expect(Object.keys(body.rooms)).toEqual([inside])
    },
  },
  {
    name: 'a room with a long name and topic in the directory',
    async attempt({ url, alice }) {
      const { roomId } = await showyRoom(url)
      const { chunk } = await alice.post(`${v3}/publicRooms`, { limit: 100 })
      const listed = chunk.find((room: Body) => room.room_id === roomId)
      expect([listed.name.length, listed.topic.length].every((length) => length > 0 && length < SHOWN)).toBe(true)
      const summary = await alice.get(`/_matrix/client/v1/room_summary/${encodeURIComponent(roomId)}`)
      expect(JSON.stringify(summary).length).toBeLessThan(3 * SHOWN)
    },
  },
  {
    name: 'a member with a long name',
    async attempt({ url }) {
      const { attacker, roomId, long } = await showyRoom(url)
      const victim = await registerUser(url)
      await joinRoom(roomId, victim)
      const { joined } = await victim.get(roomPath(roomId, 'joined_members'))
      expect(joined[attacker.userId].display_name.length).toBeLessThan(SHOWN)
      const { chunk } = await victim.get(roomPath(roomId, 'members'))
      const event = chunk.find(({ state_key }: Body) => state_key === attacker.userId)
      expect(event.content.displayname).toBe(long)
    },
  },
  {
    name: 'a member of another server with a long name',
    async attempt(world) {
      const { peer, url } = world
      const victim = await registerUser(url)
      const roomId = await createRoom(victim, { room_version: VERSION })
      const content = { membership: 'join', displayname: text(50 * KIB) }
      const speak = await joinAsPeer(world, roomId, VERSION)
      await speak({ type: 'm.room.member', state_key: peer.userId, content })
      const name = async () => (await victim.get(roomPath(roomId, 'joined_members'))).joined[peer.userId].display_name
      expect((await pollUntil('the name is there', async () => (await name()) ?? false)).length).toBeLessThan(SHOWN)
    },
  },
]
