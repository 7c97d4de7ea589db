import type { AnyEndpoint } from '../http/route.ts'
import { getContext } from './rooms/context.ts'
import { getEvent } from './rooms/event.ts'
import { getJoinedMembers, getMembers } from './rooms/members.ts'
import { getMessages } from './rooms/messages.ts'
import { postReadMarkers } from './rooms/read-markers.ts'
import { postReceipt } from './rooms/receipts.ts'
import { getRelations } from './rooms/relations.ts'
import { getRoomState, getRoomStateAt } from './rooms/room-state.ts'
import { getThreads } from './rooms/threads.ts'
import { getTimestampToEvent } from './rooms/timestamp-to-event.ts'
import { putTyping } from './rooms/typing.ts'
import { postSearch } from './search/search.ts'
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
