import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Event, Pdu } from '../../testing/matrix/pdu.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { type Homeserver, startHomeserver } from '../harness/homeserver-places.ts'
import type { Asked, RequestKind } from '../harness/honest-answers.ts'
import { answerWith, type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import type { PeerRoom } from '../harness/peer-room.ts'
import { bodiesOf, hasEvent, historyOf, roomPath, v3 } from '../harness/rooms.ts'

/** The room history that servers other than Synapse return or withhold. docs/federation.md lists it. */
let federation: Awaited<ReturnType<typeof startFederation>>
beforeAll(async () => {
  federation = await startFederation()
})
afterAll(() => federation.dispose())

const REFUSAL = { errcode: 'M_FORBIDDEN', error: 'Not allowed to see it' }
const UNRECOGNIZED = { errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' }

describe.each(['pglite', 'postgresql'] as const)('on %s', (place) => {
  let hearth: Homeserver
  let alice: TestUser
  let peer: LyingServer
  let room: PeerRoom
  beforeAll(async () => {
    hearth = await startHomeserver(federation, place)
    alice = await registerUser(hearth.url)
  }, 300_000)

  const join = () =>
    alice.post(`${v3}/join/${encodeURIComponent(room.roomId)}?via=${encodeURIComponent(peer.serverName)}`)

  /** Responds with an error to requests about some events. */
  function refuse(
    kind: RequestKind,
    events: readonly Event[],
    [status, body]: [number, object] = [403, REFUSAL],
  ): void {
    const ids = new Set<string>(events.map(({ event_id }) => event_id))
    const isAbout = ({ path, query }: Asked) => {
      const id = query.get('event_id') ?? decodeURIComponent(path.split('/').at(-1)!)
      return ids.has(id)
    }
    peer.lie(kind, (asked, response) => (isAbout(asked) ? answerWith(response, status, body) : undefined))
  }

  async function shared(): Promise<void> {
    peer = await startLyingServer(federation)
    room = peer.room()
    await join()
  }

  async function expectHeard(event: Event): Promise<void> {
    await pollUntil('the event is there', () => hasEvent(alice, event))
  }

  async function expectBothWays(): Promise<void> {
    const [next] = room.say(1, 'after') as [Event]
    await peer.send(hearth.home, [next])
    await expectHeard(next)
    const sent = await sendText(alice, room.roomId, 'from Hearth')
    await pollUntil('the server gets it', () => room.find(sent as never) !== undefined)
  }

  /** https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid */
  describe('a gap about which get_missing_events', () => {
    const answers: Record<string, (missing: Event[], late: Event) => Parameters<LyingServer['lie']>[1]> = {
      'answers nothing': () => () => ({ events: [] }),
      'answers the event that it was asked about': (_, late) => () => ({ events: [late.pdu] }),
      'answers what is here already': () => () => ({ events: room.stateNow().map(({ pdu }) => pdu) }),
      'answers the latest event before it alone, always': (missing) => () => ({ events: [missing.at(-1)!.pdu] }),
      'is refused': () => (_, response) => answerWith(response, 403, REFUSAL),
      'is not known': () => (_, response) => answerWith(response, 404, UNRECOGNIZED),
    }

    test.each(Object.keys(answers))('%s: its events are asked for one by one', async (what) => {
      await shared()
      const missing = room.say(4, 'missing')
      const [late] = room.say(1, 'late') as [Event]
      peer.lie('missing_events', answers[what]!(missing, late))
      await peer.send(hearth.home, [late])
      await expectHeard(late)
      expect(bodiesOf(await historyOf(alice, room.roomId))).toEqual([
        'missing 0',
        'missing 1',
        'missing 2',
        'missing 3',
        'late 0',
      ])
      await expectBothWays()
    })

    test.each(Object.keys(answers))(
      '%s, and whose events are not told: the state is taken from the server',
      async (what) => {
        await shared()
        const missing = room.say(2, 'missing')
        const topic = room.add({ type: 'm.room.topic', state_key: '', content: { topic: 'unheard of' } })
        const rest = room.say(1, 'missing')
        const [late] = room.say(1, 'late') as [Event]
        // It returns its state, but not singly.
        refuse('event', [...missing, topic, ...rest])
        refuse('state_ids', rest)
        refuse('state', rest)
        const useless = what.startsWith('answers the latest') ? 'answers nothing' : what
        peer.lie('missing_events', answers[useless]!(rest, late))
        await peer.send(hearth.home, [late])
        await expectHeard(late)
        expect(await alice.get(roomPath(room.roomId, 'state/m.room.topic/'))).toEqual({ topic: 'unheard of' })
        await expectBothWays()
      },
    )

    test('answers nothing, and which is too long to be filled: later events are heard', async () => {
      await shared()
      room.say(60, 'missing')
      const [late] = room.say(1, 'late') as [Event]
      peer.lie('missing_events', () => ({ events: [] }))
      await peer.send(hearth.home, [late])
      await expectHeard(late)
      await expectBothWays()
    })
  })

  /** https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility */
  describe.each(['joined', 'invited'])('a room with history visibility %s whose server', (history_visibility) => {
    beforeAll(async () => {
      peer = await startLyingServer(federation)
    })

    const cases: Record<string, RequestKind[]> = {
      'refuses events from before the join': ['event'],
      'refuses events, and the state before them': ['event', 'state_ids', 'state'],
    }

    test.each(Object.keys(cases))('%s: appears with all its members', async (what) => {
      room = peer.room()
      room.add({ type: 'm.room.history_visibility', state_key: '', content: { history_visibility } })
      const other = `@other:${peer.serverName}`
      room.add({ type: 'm.room.member', state_key: other, sender: other, content: { membership: 'join' } })
      room.say(3, 'secret')
      const before = [...room.stateNow(), ...room.before([room.latest.event_id], { limit: 50 }), room.latest]
      for (const kind of cases[what]!) refuse(kind, before)
      peer.lie('send_join', (asked) => {
        const answer = peer.honestly(asked) as { state: Pdu[] }
        const state = answer.state.filter(
          ({ type, state_key }) => type !== 'm.room.member' || state_key === room.creator,
        )
        return { ...answer, state, members_omitted: true }
      })
      await join()
      peer.lie('send_join', undefined)
      const { state, timeline } = await pollUntil('the room appears', async () => {
        return (await alice.get(`${v3}/sync?timeout=0`)).rooms?.join?.[room.roomId]
      })
      const members = [...state.events, ...timeline.events].filter(({ type }: Pdu) => type === 'm.room.member')
      expect(members.map(({ state_key }: Pdu) => state_key).sort()).toEqual([alice.userId, other, room.creator].sort())
      await expectBothWays()
    })
  })
})
