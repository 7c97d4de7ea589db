import type { RoomId, UserId } from '../core/ids.ts'

/** The tables of searching; `migrations/0009_search.sql` has their meaning. */
export type SearchTables = {
  search_events: {
    event_nid: number
    room_id: RoomId
    sender: UserId
    origin_server_ts: number
    key: SearchKey
    tokens: string[]
    word_count: number
  }
  search_user_words: { word: string; user_id: UserId }
  search_progress: { only_row: boolean; stream_position: number }
}

/** What can be searched. https://spec.matrix.org/v1.19/client-server-api/#search-categories */
export type SearchKey = 'content.body' | 'content.name' | 'content.topic'
