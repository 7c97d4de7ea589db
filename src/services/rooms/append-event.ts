import type { App } from '../../app.ts'
import { checkEventAuth } from '../../core/auth-rules/check-event-auth.ts'
import { ruleNumbers } from '../../core/auth-rules/rule-numbers.ts'
import { BadJsonError, ForbiddenError, type MatrixError } from '../../core/errors.ts'
import { buildEvent } from '../../core/events/build-event.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import type { AppendedEvent, LockedRoom } from '../../storage/locked-room.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { applyRedaction } from './apply-redaction.ts'
import { changeLockedState } from './change-locked-state.ts'
import { draftEvent, type NewEvent } from './draft-event.ts'
import { followUpgrade } from './follow-upgrade.ts'
import { placeEvent } from './place-event.ts'

type AppendCapabilities = Pick<App, 'clock' | 'signingKey' | 'serverName' | 'takeNids'>

/**
 * Makes the next event of a room: selects its auth events, checks the authorisation rules, signs it and advances the room's head and state.
 * It is stored when the command that holds `room` ends well. Throws M_FORBIDDEN when the rules refuse it, M_BAD_JSON when they cannot read it,
 * and M_TOO_LARGE when it is too big.
 */
export async function appendEvent(app: AppendCapabilities, room: LockedRoom, event: NewEvent): Promise<StoredEvent> {
  const { version, draft, known, stateBefore } = await draftEvent(app, room, event)
  const built = buildEvent(version, draft, { serverName: app.serverName, ...app.signingKey })
  const verdict = checkEventAuth(version, built, known)
  if (!verdict.allowed) throw refusal(version, event, verdict)

  const [nid] = (await app.takeNids(room.db, 1)) as [number]
  const { type, state_key } = event
  const changes = state_key === undefined ? [] : [{ type, state_key, event_nid: nid }]
  const stateAfter = await changeLockedState(app, room, { root: stateBefore, changes })
  const appended: AppendedEvent = {
    ...built,
    event_nid: nid,
    event_order: room.head?.next_order ?? 1,
    state_before: stateBefore,
    state_after: stateAfter,
    room_before: stateBefore,
    room_after: stateAfter,
    soft_failed: false,
    redacted_by: null,
    rejected_reason: null,
    txn_device_id: event.txn?.deviceId ?? null,
    txn_id: event.txn?.id ?? null,
    ...jsonOf(built.pdu),
  }
  await applyRedaction(room, appended, { version, asAdmin: event.asAdmin ?? false })
  const placed = await placeEvent(app, room, { version, event: appended })
  room.outgoing.push(nid)
  const before = known.get('m.room.member', event.state_key ?? '')
  followUpgrade(app, room, { event: placed, before, create: known.get('m.room.create', '') })
  return placed
}

/** Power levels and owners of state that are malformed are the client's mistake, no matter of permission. */
function refusal(
  version: RoomVersion,
  event: NewEvent,
  { rule, reason }: { rule: string; reason: string },
): MatrixError {
  const { powerLevels: levels, malformedStateKey } = ruleNumbers(version)
  const malformed = [levels.namedMalformed, levels.entriesMalformed, levels.usersMalformed, levels.listsCreator]
  const isMalformed = event.type === 'm.room.power_levels' && malformed.includes(rule)
  return isMalformed || rule === malformedStateKey ? new BadJsonError(reason) : new ForbiddenError(reason)
}

function jsonOf(pdu: object): { json: string; size: number } {
  const json = JSON.stringify(pdu)
  return { json, size: json.length }
}
