import type { App } from '../../app.ts'
import { checkEventAuth } from '../../core/auth-rules/check-event-auth.ts'
import { ruleNumbers } from '../../core/auth-rules/rule-numbers.ts'
import { BadJsonError, ForbiddenError, type MatrixError } from '../../core/errors.ts'
import { buildEvent } from '../../core/events/build-event.ts'
import type { RoomId } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import type { AppendedEvent, LockedRoom, RoomHead } from '../../storage/locked-room.ts'
import { changeState } from '../../storage/room-state.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { applyRedaction } from './apply-redaction.ts'
import { draftEvent, type NewEvent } from './draft-event.ts'
import { followUpgrade } from './follow-upgrade.ts'

type AppendCapabilities = Pick<App, 'clock' | 'signingKey' | 'serverName' | 'takeNids'>

/**
 * Makes the next event of a room: selects its auth events, checks the authorisation rules, signs it and advances the room's head and state.
 * It is stored when the command that holds `room` ends well. Throws M_FORBIDDEN when the rules refuse it, M_BAD_JSON when they cannot read it,
 * and M_TOO_LARGE when it is too big.
 */
export async function appendEvent(app: AppendCapabilities, room: LockedRoom, event: NewEvent): Promise<StoredEvent> {
  const { version, draft, known } = await draftEvent(app, room, event)
  const built = buildEvent(version, draft, { serverName: app.serverName, ...app.signingKey })
  const verdict = checkEventAuth(version, built, known)
  if (!verdict.allowed) throw refusal(version, event, verdict)

  const [nid] = (await app.takeNids(room.db, 1)) as [number]
  const stateBefore = room.head?.state_root ?? 0
  const stateAfter = await stateAfterEvent(app, room, { event, nid, stateBefore })
  const appended: AppendedEvent = {
    ...built,
    event_nid: nid,
    event_order: room.head?.next_order ?? 1,
    state_before: stateBefore,
    state_after: stateAfter,
    soft_failed: false,
    redacted_by: null,
    rejected_reason: null,
    txn_device_id: event.txn?.deviceId ?? null,
    txn_id: event.txn?.id ?? null,
    ...jsonOf(built.pdu),
  }
  await applyRedaction(room, appended, { version, asAdmin: event.asAdmin ?? false })
  room.events.push(appended)
  room.head = nextHead(room, version, appended)
  const before = known.get('m.room.member', event.state_key ?? '')
  followUpgrade(app, room, { event: appended, before, create: known.get('m.room.create', '') })
  return appended
}

/** Power levels that are malformed are the client's mistake, no matter of permission. */
function refusal(
  version: RoomVersion,
  event: NewEvent,
  { rule, reason }: { rule: string; reason: string },
): MatrixError {
  const levels = ruleNumbers(version).powerLevels
  const malformed = [levels.namedMalformed, levels.entriesMalformed, levels.usersMalformed, levels.listsCreator]
  const isMalformed = event.type === 'm.room.power_levels' && malformed.includes(rule)
  return isMalformed ? new BadJsonError(reason) : new ForbiddenError(reason)
}

function jsonOf(pdu: object): { json: string; size: number } {
  const json = JSON.stringify(pdu)
  return { json, size: json.length }
}

async function stateAfterEvent(
  app: AppendCapabilities,
  room: LockedRoom,
  { event, nid, stateBefore }: { event: NewEvent; nid: number; stateBefore: number },
): Promise<number> {
  if (event.state_key === undefined) return stateBefore
  const { root, created } = await changeState({
    db: room.db,
    takeNids: app.takeNids,
    root: stateBefore,
    changes: [{ type: event.type, state_key: event.state_key, event_nid: nid }],
    overlay: { nodes: room.nodes, events: new Map() },
  })
  for (const [address, node] of created) room.nodes.set(address, node)
  return root
}

function nextHead(room: LockedRoom, version: RoomVersion, event: AppendedEvent): RoomHead {
  const kept = (room.head?.forward_extremities ?? []).filter((id) => !event.prev_event_ids.includes(id))
  return {
    room_id: event.room_id as RoomId,
    version,
    create_nid: room.head?.create_nid ?? event.event_nid,
    state_root: event.state_after ?? 0,
    depth: event.pdu.depth,
    next_order: (event.event_order ?? 0) + 1,
    forward_extremities: [...kept, event.event_id],
  }
}
