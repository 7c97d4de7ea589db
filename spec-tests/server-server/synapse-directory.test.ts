import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { type ClientEvent, createRoom, eventPath, roomPath, sendState, v1, v3 } from '../harness/rooms.ts'
import { joinVia, type SynapsePair, seesEvent, seesMember, serverOf, startPair, WAYS } from '../harness/synapse-pair.ts'

let pair: SynapsePair
beforeAll(async () => {
  pair = await startPair()
})
afterAll(() => pair?.dispose())

const idsOf = (rooms: ClientEvent[]) => rooms.map(({ room_id }) => room_id)
/** Returns a word that no other test uses. */
const word = () => uniqueName('w').replaceAll('-', '')

describe.each(WAYS)('what is of %s, as users of %s find it', (here, there) => {
  let owner: TestUser
  let seeker: TestUser
  beforeAll(async () => {
    ;[owner, seeker] = await Promise.all([registerUser(pair[here].url), registerUser(pair[there].url)])
  })
  const profile = (key: string) => `${v3}/profile/${encodeURIComponent(owner.userId)}/${key}`

  /** https://spec.matrix.org/v1.19/client-server-api/#user-directory */
  test('users with whom somebody shares a room are found by their names, also when they change', async () => {
    const [name, newName] = [word(), word()]
    const find = async (user: TestUser, search_term: string) =>
      (await user.post(`${v3}/user_directory/search`, { search_term })).results
    await owner.put(profile('displayname'), { displayname: `Änne ${name}` })
    await owner.put(profile('avatar_url'), { avatar_url: `mxc://${serverOf(owner)}/face` })
    // Synapse looks up users of private rooms only a minute later.
    const preset = there === 'Synapse' ? 'public_chat' : 'private_chat'
    const roomId = await createRoom(owner, { preset, invite: [seeker.userId] })
    expect(await find(seeker, name)).toEqual([])
    await pollUntil('the invite arrives', () => joinVia(seeker, roomId))
    const found = (displayname: string) => ({
      user_id: owner.userId,
      display_name: displayname,
      avatar_url: `mxc://${serverOf(owner)}/face`,
    })
    const finds = (term: string) =>
      pollUntil(`${owner.userId} is found by ${term}`, async () => {
        const results = await find(seeker, term)
        return results.length > 0 ? results : undefined
      })
    expect(await finds(name)).toEqual([found(`Änne ${name}`)])
    await owner.put(profile('displayname'), { displayname: `Änne ${newName}` })
    expect(await finds(newName)).toEqual([found(`Änne ${newName}`)])
    const member = await seesMember(seeker, roomId, { of: owner, membership: 'join' })
    expect(member.displayname).toBe(`Änne ${newName}`)
    const stranger = await registerUser(pair[there].url)
    expect(await find(stranger, newName)).toEqual(preset === 'public_chat' ? [found(`Änne ${newName}`)] : [])
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile */
  test('a profile is served as a whole and by field', async () => {
    await owner.put(profile('displayname'), { displayname: 'Otto' })
    await owner.put(profile('avatar_url'), { avatar_url: `mxc://${serverOf(owner)}/otto` })
    expect(await seeker.get(profile('avatar_url'))).toEqual({ avatar_url: `mxc://${serverOf(owner)}/otto` })
    expect(await seeker.get(profile('').slice(0, -1))).toMatchObject({
      displayname: 'Otto',
      avatar_url: `mxc://${serverOf(owner)}/otto`,
    })
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory */
  test('aliases lead to rooms with the servers in them, until they are removed', async () => {
    const name = uniqueName('gone')
    const path = `${v3}/directory/room/${encodeURIComponent(`#${name}:${serverOf(owner)}`)}`
    const roomId = await createRoom(owner, { room_alias_name: name })
    await joinVia(seeker, roomId, owner)
    await seesMember(owner, roomId, { of: seeker, membership: 'join' })
    const { room_id, servers } = await seeker.get(path)
    expect([room_id, servers.sort()]).toEqual([roomId, [serverOf(owner), serverOf(seeker)].sort()])
    await owner.ask('DELETE', path)
    await pollUntil('the alias is gone', async () => (await seeker.ask('GET', path)).status === 404)
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#published-room-directory */
  test('public rooms come page by page, each once, spaces by themselves if wanted', async () => {
    const name = word()
    const created: string[] = []
    for (const number of [1, 2, 3, 4, 5]) {
      const space = number === 5 && { creation_content: { type: 'm.space' } }
      created.push(await createRoom(owner, { visibility: 'public', name: `${name} ${number}`, ...space }))
    }
    const path = `${v3}/publicRooms?server=${encodeURIComponent(serverOf(owner))}`
    const pages: string[][] = []
    for (let since: string | undefined; pages.length < 6; ) {
      const filter = { generic_search_term: name }
      const page = await seeker.post(path, { limit: 2, filter, ...(since && { since }) })
      pages.push(idsOf(page.chunk))
      since = page.next_batch
      if (!since) break
    }
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1])
    expect(pages.flat().sort()).toEqual(created.sort())
    const spaces = { generic_search_term: name, room_types: ['m.space'] }
    const { chunk } = await seeker.post(path, { filter: spaces })
    expect(chunk).toEqual([expect.objectContaining({ name: `${name} 5`, room_type: 'm.space' })])
  })

  /** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias */
  test('a room is summarised before anybody joins it, by its id and its alias', async () => {
    const name = uniqueName('summary')
    const options = { room_alias_name: name, name: 'Tea', topic: 'hot', room_version: '11' }
    const roomId = await createRoom(owner, options)
    const alias = `#${name}:${serverOf(owner)}`
    for (const room of [roomId, alias]) {
      const via = `via=${encodeURIComponent(serverOf(owner))}`
      expect(await seeker.get(`${v1}/room_summary/${encodeURIComponent(room)}?${via}`)).toMatchObject({
        room_id: roomId,
        name: 'Tea',
        topic: 'hot',
        canonical_alias: alias,
        num_joined_members: 1,
        join_rule: 'public',
        world_readable: false,
        room_version: '11',
      })
    }
    const hidden = await createRoom(owner, { preset: 'private_chat', name: 'Secret' })
    const query = `?via=${encodeURIComponent(serverOf(owner))}`
    const path = `${v1}/room_summary/${encodeURIComponent(hidden)}${query}`
    expect((await seeker.ask('GET', path)).status).toBe(404)
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid */
  test('a space with rooms and spaces of both servers is the same tree for everybody who may see it', async () => {
    const addChild = (of: TestUser, space: string, child: string, order: string, server: TestUser) =>
      sendState(of, space, { type: 'm.space.child', key: child, content: { via: [serverOf(server)], order } })
    const spaceOf = (user: TestUser, name: string) => createRoom(user, { name, creation_content: { type: 'm.space' } })
    const [top, sub] = [await spaceOf(owner, 'Top'), await spaceOf(seeker, 'Sub')]
    const [ours, theirs] = [await createRoom(owner, { name: 'Ours' }), await createRoom(seeker, { name: 'Theirs' })]
    const hidden = await createRoom(owner, { preset: 'private_chat', name: 'Hidden' })
    const forMembers = await createRoom(owner, {
      preset: 'private_chat',
      name: 'For members',
      room_version: '10',
      initial_state: [
        {
          type: 'm.room.join_rules',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: top }] },
        },
      ],
    })
    await addChild(owner, top, sub, 'a', seeker)
    await addChild(seeker, sub, theirs, 'a', seeker)
    await addChild(owner, top, ours, 'b', owner)
    await addChild(owner, top, hidden, 'c', owner)
    await addChild(owner, top, forMembers, 'd', owner)
    const tree = async (user: TestUser) => {
      const { rooms } = await user.get(roomPath(top, 'hierarchy', v1))
      return rooms.map(({ name, room_id, num_joined_members }: ClientEvent) => [name, room_id, num_joined_members])
    }
    const seen = [
      ['Top', top, 1],
      ['Sub', sub, 1],
      ['Theirs', theirs, 1],
      ['Ours', ours, 1],
    ]
    expect(await tree(owner)).toEqual([...seen, ['Hidden', hidden, 1], ['For members', forMembers, 1]])
    await joinVia(seeker, top, owner)
    const [first, ...others] = seen
    await pollUntil('members see what is for members', async () => (await tree(seeker)).length === 5)
    expect(await tree(seeker)).toEqual([[first![0], top, 2], ...others, ['For members', forMembers, 1]])
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid */
  test('an event from before the join is found by its time, and read', async () => {
    const roomId = await createRoom(owner)
    const said: { id: string; ts: number }[] = []
    for (let number = 0; number < 40; number++) {
      const id = await sendText(owner, roomId, `${number}`)
      if (number % 10 === 5) {
        const { origin_server_ts: ts } = await owner.get(roomPath(roomId, eventPath('event', id)))
        said.push({ id, ts })
      }
    }
    await joinVia(seeker, roomId, owner)
    for (const { id, ts } of said) {
      for (const dir of ['f', 'b']) {
        const path = roomPath(roomId, `timestamp_to_event?ts=${ts}&dir=${dir}`, v1)
        expect(await seeker.get(path)).toEqual({ event_id: id, origin_server_ts: ts })
      }
      await seesEvent(seeker, roomId, id)
    }
  })
})
