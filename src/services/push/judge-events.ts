import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { compiledDefaultRuleset } from '../../core/push-rules/compile-ruleset.ts'
import { evaluatePushRules } from '../../core/push-rules/evaluate.ts'
import { type PushVerdict, SILENT } from '../../core/push-rules/verdict.ts'
import { isUnwantedInviter } from '../../core/rooms/invite-permission.ts'
import type { Db } from '../../storage/engine/database.ts'
import { readEventsOfStates } from '../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { expiredAmong } from '../rooms/reading/expired-events.ts'
import type { PushProfile } from './push-profile.ts'

/**
 * Evaluates a user's push rules for events, in the same order. Redacted events, ignored senders and unwanted invites
 * never notify.
 */
export async function judgeEvents(
  app: Pick<App, 'config' | 'database' | 'push'>,
  userId: UserId,
  events: readonly StoredEvent[],
): Promise<PushVerdict[]> {
  if (events.length === 0) return []
  const profile = await app.push.profileOf(userId)
  const candidates = events.filter((event) => mayNotify(profile, userId, event))
  const prepared = await app.push.prepareEvents(candidates)
  const names = await displayNames(app.database, { userId, profile, candidates })
  const user = { rules: profile.rules, userId, steps: app.config.limits.counts.push_rule_steps }
  const verdicts = new Map(
    candidates.map((event, place) => [
      event,
      evaluatePushRules({ ...user, event: prepared[place]!, displayName: names.get(event) }),
    ]),
  )
  return events.map((event) => verdicts.get(event) ?? SILENT)
}

/** Filters queued events to those that may still notify the user: they may have expired, or the sender be ignored. */
export async function filterNotifiable(
  app: Pick<App, 'push' | 'config' | 'database' | 'clock'>,
  userId: UserId,
  events: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  if (events.length === 0) return []
  const profile = await app.push.profileOf(userId)
  const expired = await expiredAmong(app, events)
  return events.filter((event) => !expired.has(event) && mayNotify(profile, userId, event))
}

function mayNotify({ ignored, permission }: PushProfile, userId: UserId, { redacted_by, pdu }: StoredEvent): boolean {
  if (redacted_by !== null || pdu.sender === userId || ignored.has(pdu.sender)) return false
  const isInvite = pdu.type === 'm.room.member' && pdu.state_key === userId && pdu.content.membership === 'invite'
  return !isInvite || !isUnwantedInviter({ userId, ignored, permission }, pdu.sender)
}

/**
 * Loads the user's display name at each event whose rules may need it: the default rule does so only for events without
 * `m.mentions`.
 */
async function displayNames(
  db: Db,
  { userId, profile, candidates }: { userId: UserId; profile: PushProfile; candidates: readonly StoredEvent[] },
): Promise<Map<StoredEvent, string>> {
  const asked = candidates.filter(
    ({ pdu, state_before }) =>
      state_before &&
      typeof pdu.content.body === 'string' &&
      (profile.rules !== compiledDefaultRuleset || pdu.content['m.mentions'] === undefined),
  )
  const members = await readEventsOfStates(
    db,
    asked.map((event) => ({ root: event.state_before!, type: 'm.room.member', state_key: userId })),
  )
  return new Map(
    asked.flatMap((event, place) => {
      const name = members[place]?.pdu.content.displayname
      return typeof name === 'string' ? [[event, name] as const] : []
    }),
  )
}
