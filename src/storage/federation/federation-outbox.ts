import { sql } from 'kysely'
import type { ServerName, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'
import type { EduRow } from '../schema/federation.ts'

/** An EDU for another server. */
export type NewEdu = {
  destination: ServerName
  type: string
  content: object
  /** Replaces a queued EDU with the same key. */
  key?: string
  /** For a destination in catch-up, only the newest EDU of each subject is kept. */
  subject?: UserId
  /** The local user whose to-device messages it contains. */
  sender?: UserId
  /** Whether it is dropped for a destination that is down. */
  isEphemeral?: boolean
}

/** The counted bytes of an EDU in addition to its content. */
export const EDU_BYTES = 200

/**
 * Enqueues EDUs; those without a key are delivered in order. Returns the counted bytes by destination.
 * https://spec.matrix.org/v1.19/server-server-api/#edus
 */
export async function queueEdus(tx: Tx, edus: readonly NewEdu[]): Promise<Map<ServerName, number>> {
  const queued = new Map<ServerName, number>()
  const unique = [
    ...new Map(edus.map((edu, place) => [edu.key ? `${edu.destination} ${edu.key}` : place, edu])).values(),
  ]
  if (unique.length === 0) return queued
  const texts = textsOf(unique)
  for (const [place, { destination }] of unique.entries())
    queued.set(destination, (queued.get(destination) ?? 0) + texts[place]!.length + EDU_BYTES)
  const { rows } = await sql<{ destination: ServerName }>`with new as (
      select * from unnest(${unique.map((edu) => edu.destination)}::text[], ${unique.map((edu) => edu.type)}::text[],
        ${texts}::text[], ${unique.map((edu) => edu.key ?? null)}::text[],
        ${unique.map((edu) => edu.subject ?? null)}::text[], ${unique.map((edu) => edu.sender ?? null)}::text[],
        ${unique.map((edu) => edu.isEphemeral === true)}::boolean[])
        with ordinality as new(destination, edu_type, content, edu_key, subject, sender, is_ephemeral, place)
    ), known as (
      select new.*, coalesce(failures, 0) = 0 as is_up from new left join federation_destinations using (destination)
    ), queued as (
      insert into federation_edus (destination, edu_type, content, edu_key, subject, sender, is_ephemeral)
      select destination, edu_type, content, edu_key, subject, sender, is_ephemeral from known
      where is_up or not is_ephemeral order by destination, edu_key, place
      on conflict (destination, edu_key) do update set content = excluded.content
    )
    select distinct destination from known where is_up`.execute(tx.sql)
  announceQueued(
    tx,
    rows.map((row) => row.destination),
  )
  return queued
}

/** Returns the contents as text; EDUs for several destinations may share theirs. */
function textsOf(edus: readonly NewEdu[]): string[] {
  const texts = new Map<object, string>()
  return edus.map(({ content }) => {
    const text = texts.get(content) ?? JSON.stringify(content)
    texts.set(content, text)
    return text
  })
}

/**
 * Registers a listener for the destinations of committed EDUs and events, in this process only. Returns a function that
 * removes it.
 */
export function onQueued({ outboxListeners }: Db, listener: (destinations: readonly ServerName[]) => void): () => void {
  outboxListeners.add(listener)
  return () => outboxListeners.delete(listener)
}

/** Makes the sender check these destinations when the transaction is committed. */
export function announceQueued(tx: Tx, destinations: readonly ServerName[]): void {
  if (destinations.length === 0) return
  tx.afterCommit(() => {
    for (const listener of tx.outboxListeners) listener(destinations)
  })
}

/**
 * Returns EDUs by number, in the order of the request; missing ones are omitted. Callers in the same turn share a
 * query.
 */
export async function loadEdus(db: Db, nids: readonly number[]): Promise<EduRow[]> {
  if (nids.length === 0) return []
  const found = await loadByNid(db, nids)
  return nids.flatMap((nid) => found.get(nid) ?? [])
}

/** Per query: they may be long. */
const LOADED_AT_ONCE = 1000

const loadByNid = sharedLoads<number, EduRow>(
  async (db, nids) => {
    const found = new Map<number, EduRow>()
    for (let from = 0; from < nids.length; from += LOADED_AT_ONCE) {
      const { rows } = await sql<EduRow>`select * from federation_edus
        where edu_nid = any(${nids.slice(from, from + LOADED_AT_ONCE)}::bigint[])`.execute(db.sql)
      for (const row of rows) found.set(row.edu_nid, row)
    }
    return found
  },
  { whileReading: false },
)
