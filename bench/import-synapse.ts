import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { startFederation } from '../spec-tests/harness/federation.ts'
import { startSynapse } from '../spec-tests/harness/synapse.ts'
import { startPostgres } from '../testing/postgres.ts'

/**
 * Measures the import of a Synapse database: `node bench/import-synapse.ts [postgresql] [pglite]`. The schema is that of
 * a real Synapse with SQLite, the events are invented: EVENTS (100,000) in ROOMS (100) rooms, one of ten a join.
 */
const { EVENTS = 100_000, ROOMS = 100 } = process.env
const EVENTS_OF_ROOM = Math.ceil(Number(EVENTS) / Number(ROOMS))
const JOIN_EVERY = 10
const PROGRAM = join(import.meta.dirname, '..', 'bin', 'hearth')

const targets = process.argv.slice(2)
const federation = await startFederation()
const folder = mkdtempSync(join(tmpdir(), 'hearth-import-'))
try {
  const synapse = await startSynapse(federation)
  await synapse.kill()
  fill(new DatabaseSync(synapse.databaseFile), synapse.serverName)
  for (const target of targets.length > 0 ? targets : ['postgresql', 'pglite']) await measureOn(target, synapse)
} finally {
  rmSync(folder, { recursive: true, force: true })
  await federation.dispose()
}

async function measureOn(
  target: string,
  { configFile, serverName }: { configFile: string; serverName: string },
): Promise<void> {
  const postgres = target === 'postgresql' ? await startPostgres() : undefined
  const file = join(folder, `${target}.yaml`)
  const url = await postgres?.createDatabase()
  const config = { server_name: serverName, data_dir: join(folder, target), ...(url && { database: { url } }) }
  writeFileSync(file, JSON.stringify(config))
  const options = ['--config', configFile, '--hearth-config', file]
  const output = execFileSync(PROGRAM, ['import-synapse', 'import', ...options], { encoding: 'utf8' })
  const seconds = Number(/Imported in ([\d.]+) s/.exec(output)?.[1])
  console.log(`${target}: ${Math.round(Number(EVENTS) / seconds)} events/s, ${seconds} s`)
  await postgres?.stop()
}

type Insert = (table: string, row: Record<string, string | number | null>) => void

function fill(database: DatabaseSync, serverName: string): void {
  database.exec('pragma foreign_keys = off; delete from background_updates; begin')
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  const insert: Insert = (table, row) => {
    const columns = Object.keys(row)
    const text = `insert into ${table} (${columns.join()}) values (${columns.map(() => '?').join()})`
    const statement = statements.get(text) ?? database.prepare(text)
    statements.set(text, statement)
    statement.run(...Object.values(row))
  }
  let ordering = 1
  let group = 1
  for (let room = 0; room < Number(ROOMS); room++) {
    const made = fillRoom(insert, { roomId: `!room${room}:${serverName}`, serverName, ordering, group })
    ordering = made.ordering
    group = made.group
  }
  database.exec('commit')
  database.close()
}

type Place = { roomId: string; serverName: string; ordering: number; group: number }

function fillRoom(insert: Insert, place: Place): { ordering: number; group: number } {
  const { roomId, serverName } = place
  let { ordering, group } = place
  const creator = `@creator:${serverName}`
  insert('rooms', { room_id: roomId, is_public: 0, creator, room_version: '10' })
  let prev: string | undefined
  let hasGroup = false
  for (let depth = 1; depth <= EVENTS_OF_ROOM; depth++) {
    const joins = depth === 2 || depth % JOIN_EVERY === 0
    const sender = depth <= 2 ? creator : `@user${depth - (depth % JOIN_EVERY)}:${serverName}`
    const type = depth === 1 ? 'm.room.create' : joins ? 'm.room.member' : 'm.room.message'
    const stateKey = depth === 1 ? '' : joins ? sender : null
    const eventId = `$${randomBytes(32).toString('base64url')}`
    const content =
      depth === 1
        ? { creator, room_version: '10' }
        : joins
          ? { membership: 'join', displayname: `User ${depth}` }
          : { msgtype: 'm.text', body: `Message ${depth} of ${roomId}: ${'text '.repeat(20)}` }
    storeEvent(insert, { roomId, eventId, ordering, depth, type, sender, stateKey, content, prev })
    if (stateKey !== null) {
      insert('state_groups', { id: ++group, room_id: roomId, event_id: eventId })
      if (hasGroup) insert('state_group_edges', { state_group: group, prev_state_group: group - 1 })
      hasGroup = true
      const entry = { room_id: roomId, type, state_key: stateKey, event_id: eventId }
      insert('state_groups_state', { state_group: group, ...entry })
      insert('current_state_events', { ...entry, membership: joins ? 'join' : null })
    }
    if (joins) {
      const member = { event_id: eventId, room_id: roomId, user_id: sender, membership: 'join' }
      insert('room_memberships', { ...member, sender, forgotten: 0, display_name: `User ${depth}` })
      insert('local_current_membership', member)
    }
    insert('event_to_state_groups', { event_id: eventId, state_group: group })
    prev = eventId
    ordering++
  }
  insert('event_forward_extremities', { event_id: prev!, room_id: roomId })
  return { ordering, group }
}

type Made = {
  roomId: string
  eventId: string
  ordering: number
  depth: number
  type: string
  sender: string
  stateKey: string | null
  content: object
  prev: string | undefined
}

function storeEvent(insert: Insert, made: Made): void {
  const { roomId, eventId, ordering, depth, type, sender, stateKey, content, prev } = made
  const now = 1_700_000_000_000 + ordering
  insert('events', {
    ...{ stream_ordering: ordering, topological_ordering: depth, event_id: eventId, type, room_id: roomId, depth },
    ...{ processed: 1, outlier: 0, origin_server_ts: now, received_ts: now, sender, contains_url: 0 },
    state_key: stateKey,
  })
  const signature = randomBytes(64).toString('base64').replaceAll('=', '')
  const json = JSON.stringify({
    auth_events: prev ? [prev] : [],
    prev_events: prev ? [prev] : [],
    ...{ type, room_id: roomId, sender, content, depth, origin_server_ts: now, origin: 'bench' },
    ...(stateKey !== null && { state_key: stateKey }),
    hashes: { sha256: randomBytes(32).toString('base64').replaceAll('=', '') },
    signatures: { bench: { 'ed25519:a_test': signature } },
    unsigned: { age_ts: now },
  })
  insert('event_json', { event_id: eventId, room_id: roomId, internal_metadata: '{}', json, format_version: 3 })
}
