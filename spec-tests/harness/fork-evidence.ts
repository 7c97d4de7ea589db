import { DatabaseSync } from 'node:sqlite'
import { query } from '../../testing/postgres.ts'

/** A room in the database of a server: the data needed to find out why servers disagree. */
export type ForkEvidence = {
  forwardExtremities: string[]
  events: {
    eventId: string
    pdu: object
    /** The reason of its rejection. */
    rejected: string | null
    isSoftFailed: boolean
    isOutlier: boolean
  }[]
}

/** Reads the evidence from a Hearth. */
export async function hearthEvidence(databaseUrl: string, roomId: string): Promise<ForkEvidence> {
  const room = `room_id = '${roomId}'`
  const [head] = await query(databaseUrl, `select forward_extremities from room_heads where ${room}`)
  const rows = await query(
    databaseUrl,
    `select event_id, json, rejected, soft_failed, event_order from events where ${room} order by event_nid`,
  )
  return {
    forwardExtremities: head?.forward_extremities ?? [],
    events: rows.map(({ event_id, json, rejected, soft_failed, event_order }) => ({
      eventId: event_id,
      pdu: JSON.parse(json),
      rejected,
      isSoftFailed: soft_failed,
      isOutlier: event_order === null,
    })),
  }
}

const SYNAPSE_EVENTS = `select event_id, json, internal_metadata, reason, outlier from event_json join events using (event_id)
  left join rejections using (event_id) where events.room_id = ? order by stream_ordering`

/** Reads the evidence from a Synapse. */
export function synapseEvidence(databaseFile: string, roomId: string): ForkEvidence {
  const database = new DatabaseSync(databaseFile, { readOnly: true })
  try {
    const ends = database.prepare('select event_id from event_forward_extremities where room_id = ?').all(roomId)
    const rows = database.prepare(SYNAPSE_EVENTS).all(roomId)
    return {
      forwardExtremities: ends.map(({ event_id }) => String(event_id)),
      events: rows.map(({ event_id, json, internal_metadata, reason, outlier }) => ({
        eventId: String(event_id),
        pdu: JSON.parse(String(json)),
        rejected: reason === null ? null : String(reason),
        isSoftFailed: JSON.parse(String(internal_metadata)).soft_failed === true,
        isOutlier: outlier === 1,
      })),
    }
  } finally {
    database.close()
  }
}
