import type { AnyEndpoint } from '../http/route.ts'
import { getContext } from './context.ts'
import { getEvent } from './event.ts'
import { getJoinedMembers, getMembers } from './members.ts'
import { getMessages } from './messages.ts'
import { postReadMarkers } from './read-markers.ts'
import { postReceipt } from './receipts.ts'
import { getRelations } from './relations.ts'
import { getRoomState, getRoomStateAt } from './room-state.ts'
import { postSearch } from './search.ts'
import { getThreads } from './threads.ts'
import { getTimestampToEvent } from './timestamp-to-event.ts'
import { putTyping } from './typing.ts'
import { postUserDirectorySearch } from './user-directory.ts'

/** Reading rooms, and how far one has read them. */
export const roomReadingEndpoints: AnyEndpoint[] = [
  getMessages,
  getContext,
  getEvent,
  getTimestampToEvent,
  getMembers,
  getJoinedMembers,
  getRoomState,
  getRoomStateAt,
  getRelations,
  getThreads,
  postReceipt,
  postReadMarkers,
  putTyping,
  postSearch,
  postUserDirectorySearch,
]
