import type { RoomId, UserId } from '../../core/ids.ts'
import type { SearchableKey } from '../../core/text/searchable-text.ts'

/** Tables of search: `migrations/0011_search.sql`. */
export type SearchTables = {
  search_events: {
    event_nid: number
    room_id: RoomId
    sender: UserId
    origin_server_ts: number
    key: SearchableKey
    tokens: string[]
    word_count: number
  }
  search_user_words: { word: string; user_id: UserId }
  search_progress: { only_row: boolean; stream_position: number }
}
