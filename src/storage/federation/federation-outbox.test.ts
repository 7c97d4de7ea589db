import { sql } from 'kysely'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startPostgres } from '../../../testing/postgres.ts'
import type { ServerName, UserId } from '../../core/ids.ts'
import { appendEvent } from '../../services/rooms/timeline/append-event.ts'
import { createTestApp, START } from '../../testing/create-test-app.ts'
import { ALICE, createReadingRoom, PEOPLE } from '../../testing/reading-room.ts'
import type { Database } from '../engine/database.ts'
import { migrate } from '../engine/migrate.ts'
import { openDatabase } from '../engine/open-database.ts'
import { recountRoomServers } from '../rooms/membership/other-servers.ts'
import { loadEvents } from '../rooms/timeline/events.ts'
import {
  endBackOff,
  extendLeases,
  findDueDestinations,
  findForgottenDestinations,
  OUTBOX_START,
  type OutboxMark,
  releaseDestinations,
  startCatchUpOfAllDestinations,
} from './destinations.ts'
import { onQueued, queueEdus } from './federation-outbox.ts'
import { emptyFullOutbox, outboxesToMeasure } from './full-outboxes.ts'
import {
  catchUp,
  failTransaction,
  finishTransactions,
  type NextStep,
  type OutgoingTransaction,
  takeTransactions,
} from './outgoing-transactions.ts'

const Y = 'y' as ServerName
const Z = 'z' as ServerName
const DORA = '@dora:y' as UserId
const ERIC = '@eric:y' as UserId
const ZOE = '@zoe:z' as UserId
const HOUR = 3_600_000

async function setUp() {
  const app = await createTestApp({ users: PEOPLE })
  onTestFinished(() => app.close())
  const { database } = app
  const room = await createReadingRoom(app)
  let now = START
  let number = 0
  const lease = (holder = 'one') => ({ holder, now, until: now + 10 })
  const named = (destination: ServerName) => ({ destination, txnId: `txn${++number}` })
  const takeAll = (destinations: readonly ServerName[], holder?: string) =>
    database.write((tx) => takeTransactions(tx, lease(holder), destinations.map(named)))
  const finishAll = (sent: ReadonlyMap<ServerName, OutgoingTransaction>, holder?: string) => {
    const finished = [...sent].map(([destination, it]) => ({ ...named(destination), sent: it }))
    return database.write((tx) => finishTransactions(tx, lease(holder), finished))
  }
  const caughtUp = async (destination: ServerName, steps: ReadonlyMap<ServerName, NextStep>, holder?: string) => {
    let step = steps.get(destination)
    while (step === 'catch up') step = await database.write((tx) => catchUp(tx, lease(holder), named(destination)))
    return step
  }
  return {
    ...room,
    app,
    database,
    later: (ms: number) => {
      now += ms
    },
    takeAll,
    finishAll,
    take: async (destination: ServerName, holder?: string) =>
      caughtUp(destination, await takeAll([destination], holder), holder),
    finish: async (destination: ServerName, sent: OutgoingTransaction, holder?: string) =>
      caughtUp(destination, await finishAll(new Map([[destination, sent]]), holder), holder),
    fail: (destination: ServerName, rest: number, more: { isRefused?: boolean; holder?: string } = {}) =>
      database.write((tx) =>
        failTransaction(
          tx,
          { destination, holder: more.holder ?? 'one' },
          {
            now,
            retryAt: now + rest,
            catchUpIfBefore: now - HOUR,
            isRefused: more.isRefused ?? false,
          },
        ),
      ),
    due: () => findDueDestinations(database, now, 10),
    forgotten: async (since: OutboxMark = OUTBOX_START) => findForgottenDestinations(database, since),
    bodies: async (transaction: OutgoingTransaction | undefined) => {
      const events = await loadEvents(database, transaction?.events ?? [])
      return transaction?.events.map((nid) => {
        const { type, content } = events.get(nid)!.pdu
        return String(content.body ?? content.membership ?? type)
      })
    },
    serversOf: async () =>
      (
        await database.sql
          .selectFrom('room_servers')
          .select(['server_name', 'joined_members'])
          .where('room_id', '=', room.roomId)
          .orderBy('server_name')
          .execute()
      ).map((row) => `${row.server_name} ${row.joined_members}`),
  }
}

test('members are counted by server, and counting from scratch gives the same', async () => {
  const { database, roomId, member, serversOf } = await setUp()
  await member(DORA, 'join')
  await member(ERIC, 'join')
  await member(ZOE, 'join')
  await member(ERIC, 'join', ERIC, { displayname: 'Eric' })
  expect(await serversOf()).toEqual(['y 2', 'z 1'])
  await member(ERIC, 'leave')
  await member(ZOE, 'ban', ALICE)
  expect(await serversOf()).toEqual(['y 1'])
  await database.write((tx) => recountRoomServers(tx, 'hearth.test' as ServerName, [roomId]))
  expect(await serversOf()).toEqual(['y 1'])
})

test('our events are queued in order for each other server in the room, and once more if nobody says that they arrived', async () => {
  const { member, message, take, finish, bodies, forgotten, due, later } = await setUp()
  await message(ALICE, 'alone')
  await member(DORA, 'join')
  await member(ZOE, 'join')
  await message(ALICE, 'one')
  await message(ALICE, 'two')
  const { destinations, mark } = await forgotten()
  expect(destinations.sort()).toEqual(['y', 'z'])
  expect((await forgotten(mark)).destinations).toEqual([])
  const first = (await take(Y))!
  // The test creates Zoe's join here, as a resident server would; Dora's join is not sent to her own server.
  expect(await bodies(first)).toEqual(['join', 'one', 'two'])
  await message(ALICE, 'three')
  expect(await take(Y, 'two')).toBeUndefined()
  expect(await due()).toEqual([])
  later(11)
  expect(await due()).toEqual(['y'])
  const again = (await take(Y, 'two'))!
  expect(again).toEqual(first)
  expect(await finish(Y, first, 'one')).toBeUndefined()
  const next = (await finish(Y, again, 'two'))!
  expect(await bodies(next)).toEqual(['three'])
  expect(next.txnId).not.toBe(first.txnId)
  expect(await finish(Y, next, 'two')).toBeUndefined()
  expect(await take(Y)).toBeUndefined()
})

test('destinations that are taken together each get what waits for them', async () => {
  const { database, member, message, take, takeAll, finishAll, bodies } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await member(ZOE, 'join')
  for (let i = 2; i <= 61; i++) await message(ALICE, String(i))
  const edu = (destination: ServerName, value: number) => ({ destination, type: 'm.test', content: { value } })
  await database.write((tx) => queueEdus(tx, [edu(Z, 1), ...Array.from({ length: 101 }, (_, i) => edu(Y, i))]))
  const other = (await take(Z, 'two')) as OutgoingTransaction
  const first = (await takeAll([Z, 'nothing' as ServerName, Y])) as Map<ServerName, OutgoingTransaction>
  expect([...first.keys()]).toEqual([Y])
  expect((await bodies(first.get(Y)))?.slice(0, 3)).toEqual(['one', 'join', '2'])
  expect([first.get(Y)?.events.length, first.get(Y)?.edus.length]).toEqual([50, 100])
  expect([other.events.length, other.edus.length]).toEqual([50, 1])
  // A caller that does not hold the lease of a destination cannot finish its transaction.
  const second = (await finishAll(new Map([...first, [Z, other]]))) as Map<ServerName, OutgoingTransaction>
  expect([...second.keys()]).toEqual([Y])
  expect([second.get(Y)?.events.length, second.get(Y)?.edus.length]).toEqual([12, 1])
  const third = (await finishAll(new Map([[Z, other]]), 'two')) as Map<ServerName, OutgoingTransaction>
  expect(await bodies(third.get(Z))).toEqual(Array.from({ length: 10 }, (_, i) => String(52 + i)))
  const rows = await database.sql.selectFrom('federation_edus').select(['destination', 'content']).execute()
  expect(rows).toEqual([{ destination: 'y', content: '{"value":100}' }])
})

test('EDUs of a transaction are no longer than a transaction may be, if there are several', async () => {
  const { database, takeAll, finishAll } = await setUp()
  const edu = (destination: ServerName, length: number) => ({
    destination,
    type: 'm.test',
    content: { text: 'x'.repeat(length) },
  })
  const edus = [edu(Y, 600_000), edu(Y, 600_000), edu(Y, 10), edu(Z, 2_000_000), edu(Z, 10)]
  await database.write((tx) => queueEdus(tx, edus))
  const counts: number[][] = []
  let steps = (await takeAll([Y, Z])) as Map<ServerName, OutgoingTransaction>
  for (; steps.size > 0; steps = (await finishAll(steps)) as typeof steps) {
    counts.push([Y, Z].map((destination) => steps.get(destination)?.edus.length ?? 0))
  }
  expect(counts).toEqual([
    [2, 1],
    [1, 1],
  ])
})

test('from a full outbox the EDUs go of the users who fill most of it, and of no other server', async () => {
  const { database } = await setUp()
  const limit = 100_000
  const edu = (destination: ServerName, sender: UserId, place: number) => {
    const content = { sender, place, text: 'x'.repeat(2000) }
    return { destination, type: 'm.direct_to_device', sender, content }
  }
  const waiting = async (destination: ServerName) => {
    const { rows } = await sql<{
      sender: string
      count: number
    }>`select sender, count(*)::int as count from federation_edus
      where destination = ${destination} group by sender order by sender`.execute(database.sql)
    return rows.map(({ sender, count }) => [sender, count])
  }
  const fill = (sender: UserId, count: number) =>
    database.write(async (tx) => {
      const edus = Array.from({ length: count }, (_, place) => [edu(Y, sender, place), edu(Z, ALICE, place)]).flat()
      const full = outboxesToMeasure(tx, await queueEdus(tx, edus), limit)
      for (const destination of full) if (destination === Y) await emptyFullOutbox(tx, destination, limit)
      return full
    })
  expect(await fill(ALICE, 3)).toEqual([])
  expect(await fill(ERIC, 20)).toEqual([Y, Z])
  expect(await fill(DORA, 1)).toEqual([])
  expect(await waiting(Y)).toEqual([
    [ALICE, 3],
    [DORA, 1],
    [ERIC, 20],
  ])
  await fill(ERIC, 30)
  expect(await waiting(Y)).toEqual([
    [ALICE, 3],
    [DORA, 1],
  ])
  expect(await waiting(Z)).toEqual([[ALICE, 54]])
})

test('a user who is made to leave gets that through their server, and nothing later', async () => {
  const { member, message, take, bodies } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await member(DORA, 'leave', ALICE)
  await message(ALICE, 'secret')
  await member(ERIC, 'invite', ALICE)
  await member(ERIC, 'leave', ALICE)
  expect(await bodies(await take(Y))).toEqual(['one', 'leave', 'leave'])
})

test('a server does not get back the leave that it sent', async () => {
  const { member, message, take, bodies } = await setUp()
  await member(ERIC, 'invite', ALICE)
  await member(ERIC, 'leave')
  expect(await take(Y)).toBeUndefined()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await member(DORA, 'leave')
  expect(await bodies(await take(Y))).toEqual(['one'])
})

test('a destination rests after a failure and gets the same transaction then', async () => {
  const { database, member, message, take, fail, due, later } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  const edu = (key: string, isEphemeral: boolean, value: number) => ({
    destination: Y,
    type: 'm.test',
    content: { value },
    key,
    isEphemeral,
  })
  await database.write((tx) => queueEdus(tx, [edu('a', true, 1), edu('b', false, 2), edu('b', false, 3)]))
  const first = (await take(Y))!
  expect(first.edus).toHaveLength(2)
  await fail(Y, 100)
  expect(await take(Y)).toBeUndefined()
  await database.write((tx) => queueEdus(tx, [edu('a', true, 4), edu('b', false, 5)]))
  later(100)
  expect(await due()).toEqual(['y'])
  expect(await take(Y)).toEqual({ ...first, failures: 1 })
  const rows = await database.sql.selectFrom('federation_edus').select('content').orderBy('edu_nid').execute()
  expect(rows.map((row) => row.content)).toEqual(['{"value":3}', '{"value":5}'])
})

test('a destination that shows that it is alive rests no longer', async () => {
  const { database, member, message, take, fail, due } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await take(Y)
  expect(await database.write((tx) => endBackOff(tx, Y))).toBe(false)
  await fail(Y, HOUR)
  expect(await due()).toEqual([])
  expect(await database.write((tx) => endBackOff(tx, Y))).toBe(true)
  expect(await due()).toEqual(['y'])
  expect((await take(Y))?.failures).toBe(1)
})

test('of a destination that is down for long only the rooms are noted, and the latest event of each is sent first', async () => {
  const { database, member, message, take, finish, fail, bodies, later } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await message(ALICE, 'two')
  expect(await bodies(await take(Y))).toEqual(['one', 'two'])
  await fail(Y, 100)
  later(2 * HOUR)
  await message(ALICE, 'three')
  await take(Y)
  await fail(Y, 100)
  await message(ALICE, 'four')
  await message(ALICE, 'five')
  expect(await database.sql.selectFrom('federation_queue').selectAll().execute()).toEqual([])
  expect(await database.sql.selectFrom('federation_room_notes').selectAll().execute()).toHaveLength(1)
  later(100)
  const caughtUp = (await take(Y))!
  expect(await bodies(caughtUp)).toEqual(['five'])
  await message(ALICE, 'six')
  const next = (await finish(Y, caughtUp))!
  expect(await bodies(next)).toEqual(['six'])
  expect(await finish(Y, next)).toBeUndefined()
  await message(ALICE, 'seven')
  await message(ALICE, 'eight')
  expect(await bodies(await take(Y))).toEqual(['seven', 'eight'])
})

test('a user who was made to leave while the server was down gets that, and nothing later', async () => {
  const { member, message, take, fail, bodies, later } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await take(Y)
  await fail(Y, 100)
  later(2 * HOUR)
  await member(DORA, 'ban', ALICE)
  await take(Y)
  await fail(Y, 100)
  await message(ALICE, 'secret')
  later(100)
  expect((await bodies(await take(Y)))?.sort()).toEqual(['ban', 'one'])
})

test('while federation is switched off rooms are only noted', async () => {
  const { database, member, message, take, bodies } = await setUp()
  await member(DORA, 'join')
  await database.write(startCatchUpOfAllDestinations)
  await message(ALICE, 'one')
  await message(ALICE, 'two')
  expect(await database.sql.selectFrom('federation_queue').selectAll().execute()).toEqual([])
  expect(await bodies(await take(Y))).toEqual(['two'])
})

test('a transaction that is refused is not sent again', async () => {
  const { database, member, message, take, fail, bodies, later } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await database.write((tx) => queueEdus(tx, [{ destination: Y, type: 'm.test', content: {} }]))
  expect((await take(Y))?.edus).toHaveLength(1)
  await fail(Y, 100, { isRefused: true })
  later(100)
  const next = (await take(Y))!
  expect([await bodies(next), next.edus]).toEqual([['one'], []])
})

test('an event of another server is forwarded only where the resident server has to, and not back', async () => {
  const { app, roomId, member, take, bodies } = await setUp()
  await member(DORA, 'join')
  await member(ZOE, 'join')
  const relay = (send: boolean) =>
    app.rooms.run(roomId, async (room) => {
      const event = await appendEvent(app, room, {
        type: 'm.room.member',
        state_key: ERIC,
        sender: ERIC,
        content: { membership: 'join', displayname: String(send) },
      })
      room.outgoing = []
      if (send) room.outgoing.push(event.event_nid)
    })
  await relay(false)
  await relay(true)
  expect((await take(Z))?.events).toHaveLength(1)
  expect(await bodies(await take(Y))).toEqual(['join'])
})

test('the process that queued something hears for whom', async () => {
  const { database, member, message } = await setUp()
  const listener = vi.fn()
  const stop = onQueued(database, listener)
  await message(ALICE, 'alone')
  expect(listener).not.toHaveBeenCalled()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  expect(listener.mock.calls).toEqual([[['y']]])
  await database.write((tx) => queueEdus(tx, [{ destination: Z, type: 'm.test', content: {} }]))
  expect(listener).toHaveBeenLastCalledWith(['z'])
  stop()
})

/** Longer than any lease. */
const LONG = { now: START, until: START + HOUR }

/** Acquires, finishes and releases destinations in random order; notes each transaction. */
async function sendAll(
  database: Database,
  names: readonly ServerName[],
  { holder, rounds, note }: { holder: string; rounds: number; note(name: ServerName, sent: OutgoingTransaction): void },
) {
  let number = 0
  const named = (destination: ServerName) => ({ destination, txnId: `${holder}.${++number}` })
  const noted = (steps: Map<ServerName, NextStep>) => {
    for (const [name, step] of steps) note(name, step as OutgoingTransaction)
    return steps as Map<ServerName, OutgoingTransaction>
  }
  const edus = ['a', 'b'].flatMap((key) =>
    names.map((destination) => ({ destination, type: 'm.test', content: {}, key })),
  )
  const queueing = (async () => {
    for (let round = 0; round < rounds; round++) await database.write((tx) => queueEdus(tx, edus))
  })()
  for (let round = 0; round < rounds; round++) {
    let steps = noted(await database.write((tx) => takeTransactions(tx, { holder, ...LONG }, names.map(named))))
    for (let turn = 0; turn < 3 && steps.size > 0; turn++) {
      const finished = [...steps].map(([destination, sent]) => ({ ...named(destination), sent })).reverse()
      const [next] = await Promise.all([
        database.write((tx) => finishTransactions(tx, { holder, ...LONG }, finished)),
        database.write((tx) => extendLeases(tx, { holder, destinations: names, until: LONG.until })),
      ])
      steps = noted(next)
    }
    await database.write((tx) => releaseDestinations(tx, holder))
  }
  await queueing
}

test('processes that work on the same destinations never wait for each other in a circle, and keep the order', async () => {
  const postgres = await startPostgres(['deadlock_timeout=10ms'])
  onTestFinished(() => postgres.stop())
  const url = await postgres.createDatabase()
  const open = () => openDatabase({ url, folder: '', poolSize: 4, cacheBytes: 1e6, reportError: () => {} })
  const databases = await Promise.all([open(), open(), open(), open()])
  await migrate(databases[0]!)
  const names = Array.from({ length: 24 }, (_, i) => `s${(7 * i) % 24}` as ServerName)
  const sent = new Map(names.map((name) => [name, new Map<string, number[]>()]))
  const note = (name: ServerName, { txnId, events }: OutgoingTransaction) => {
    // A transaction that is sent again under its id has the same content.
    expect(sent.get(name)!.get(txnId) ?? events).toEqual(events)
    sent.get(name)!.set(txnId, events)
  }
  const all = Array.from({ length: 60 }, (_, i) => i + 1)
  const queue = async () => {
    for (const nid of all) {
      await sql`insert into federation_queue (destination, room_id, event_nid)
        select destination, '!r', ${nid}::bigint from unnest(${names}::text[]) as to_all(destination)`.execute(
        databases[0]!.sql,
      )
    }
  }
  const orders = [names, [...names].reverse(), [...names].sort(), [...names].sort().reverse()]
  await Promise.all([
    queue(),
    ...databases.map((database, i) => sendAll(database, orders[i]!, { holder: `p${i}`, rounds: 12, note })),
  ])
  // At most two transactions of each are left.
  for (let i = 0; i < 2; i++) await sendAll(databases[0]!, names, { holder: 'last', rounds: 2, note })
  for (const name of names) expect([...sent.get(name)!.values()].flat()).toEqual(all)
  // Statistics of a session are flushed when it ends.
  await Promise.all(databases.map((database) => database.close()))
  const after = await open()
  const { rows } = await sql<{ deadlocks: number }>`select deadlocks from pg_stat_database
    where datname = current_database()`.execute(after.sql)
  expect(rows).toEqual([{ deadlocks: 0 }])
  await after.close()
})
