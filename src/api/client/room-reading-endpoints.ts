import type { AnyEndpoint } from '../http/route.ts'
import { getTimestampToEvent } from './rooms/event-at-time.ts'
import { getContext } from './rooms/read-context.ts'
import { getEvent } from './rooms/read-event.ts'
import { postReadMarkers } from './rooms/read-markers.ts'
import { getJoinedMembers, getMembers } from './rooms/read-members.ts'
import { getMessages } from './rooms/read-messages.ts'
import { getRoomState, getRoomStateAt } from './rooms/read-state.ts'
import { postReceipt } from './rooms/receipts.ts'
import { getRelations } from './rooms/relations.ts'
import { getThreads } from './rooms/threads.ts'
import { putTyping } from './rooms/typing.ts'
import { postSearch } from './search/search-messages.ts'
import { postUserDirectorySearch } from './search/user-directory.ts'

/** Reading rooms, receipts and read markers. */
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
