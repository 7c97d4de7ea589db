import type { App } from '../../../app.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import { jsonItems } from '../../../core/json/json-pieces.ts'
import type { EventText } from '../../../storage/rooms/timeline/event-texts.ts'
import { readStateNids } from '../../../storage/rooms/timeline/room-state.ts'
import { authIdsOf, chainTexts, textsOf } from './auth-chain-texts.ts'

/**
 * Yields the JSON response with a state, in pieces, so that a huge room takes no more memory than a small one: the
 * events or their IDs, then those of the auth chain.
 * https://spec.matrix.org/v1.19/server-server-api/#retrieving-the-room-state
 */
export async function* stateAnswer(
  app: Pick<App, 'database'>,
  { roomId, root }: { roomId: RoomId; root: number },
  wanted: 'events' | 'ids',
): AsyncGenerator<string> {
  const [state, chain] = wanted === 'ids' ? ['pdu_ids', 'auth_chain_ids'] : ['pdus', 'auth_chain']
  const write = ({ event_id, json }: EventText) => (wanted === 'ids' ? JSON.stringify(event_id) : json)
  const starts = new Set<EventId>()
  yield `{"${state}":[`
  yield* jsonItems(textsOf(app, await readStateNids(app.database, root)), (text) => {
    for (const id of authIdsOf(text)) starts.add(id)
    return write(text)
  })
  yield `],"${chain}":[`
  yield* jsonItems(chainTexts(app, roomId, { starts }), write)
  yield ']}'
}
