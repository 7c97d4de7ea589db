import { isDeepStrictEqual } from 'node:util'
import type { App } from '../../../app.ts'
import { BadJsonError, InvalidParamError } from '../../../core/errors.ts'
import { type EventId, isUserId, type RoomId, type UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import { readLockedState } from '../../../storage/rooms/timeline/locked-room.ts'
import { membershipIn } from '../access/room-member.ts'
import { screenJoin } from '../access/screen-join.ts'
import { checkCanonicalAlias } from '../directory/canonical-alias.ts'
import { changeMembership } from '../membership/change-membership.ts'
import { appendEvent } from '../timeline/append-event.ts'
import { runInRoom } from '../timeline/run-in-room.ts'

/** A state event to send. */
export type StateToSend = {
  roomId: RoomId
  sender: UserId
  senderIsGuest?: boolean
  type: string
  stateKey: string
  content: JsonObject
  /** As for `NewEvent`. */
  originServerTs?: number | undefined
}

/**
 * Sets room state, and returns the event ID: that of the current event if the sender and the content are the same.
 * Member events pass the checks of the membership endpoints. Throws M_FORBIDDEN, M_BAD_JSON, M_TOO_LARGE, M_BAD_ALIAS,
 * M_INVALID_PARAM.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey
 */
export function sendStateLocally(app: App, state: StateToSend): Promise<EventId> {
  if (state.type === 'm.room.member') return sendMember(app, state)
  return runInRoom(app, state.roomId, async (room) => {
    const { type, stateKey: state_key, sender, content, originServerTs } = state
    if (type === 'm.room.create') throw new BadJsonError('A room has only one m.room.create')
    if (type === 'm.room.tombstone' && content.replacement_room === state.roomId)
      throw new InvalidParamError('replacement_room: a room cannot replace itself')
    const [current, member] = await readLockedState(room, [
      { type, state_key },
      { type: 'm.room.member', state_key: sender },
    ])
    const isSame = current?.pdu.sender === sender && isDeepStrictEqual(current.pdu.content, content)
    if (isSame && membershipIn(member) === 'join') return current.event_id
    const { event_id } = await appendEvent(app, room, {
      type,
      state_key,
      sender,
      content,
      origin_server_ts: originServerTs,
    })
    if (type === 'm.room.canonical_alias' && state_key === '') await checkCanonicalAlias(room, content, current)
    return event_id
  })
}

async function sendMember(app: App, { roomId, stateKey, content, ...change }: StateToSend): Promise<EventId> {
  const { membership } = content
  if (!isUserId(stateKey)) throw new InvalidParamError('The state key of m.room.member must be a user id')
  if (!isMembership(membership)) throw new BadJsonError('membership: must be join, invite, leave, ban or knock')
  const { sender, senderIsGuest = false, originServerTs } = change
  const target = stateKey
  if (membership === 'join') await screenJoin(app, roomId, target)
  return changeMembership(app, roomId, { sender, senderIsGuest, target, membership, content, originServerTs })
}

function isMembership(value: unknown): value is Membership {
  return ['join', 'invite', 'leave', 'ban', 'knock'].includes(value as string)
}
