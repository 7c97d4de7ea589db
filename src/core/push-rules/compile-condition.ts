import { localpartOf, type UserId } from '../ids.ts'
import { parsePropertyPath } from '../json/property-path.ts'
import { compileGlob, compileWordGlob, containsWords, type Work } from '../text/glob.ts'
import { arrayMembers, loweredString, type PreparedEvent, type PropertyPath, propertyValue } from './prepare-event.ts'
import type { PushCondition } from './push-rule.ts'

/** The user whose rules are evaluated. */
export type PushUser = { readonly userId: string; readonly displayName?: string | undefined }

/** Evaluates a condition for a user; false if no steps are left. */
export type CompiledCondition = (event: PreparedEvent, user: PushUser, work: Work) => boolean

/**
 * Compiles a condition for many events: https://spec.matrix.org/v1.19/client-server-api/#conditions-1. Where the
 * condition contains `userId`, the compiled form uses the user it is evaluated for, so that users with equal rules
 * share it. Undefined for a condition that can never match: of unknown kind, or with missing or invalid parameters.
 */
export function compileCondition(condition: PushCondition, userId: string): CompiledCondition | undefined {
  switch (condition.kind) {
    case 'event_match':
      return eventMatch(condition, userId)
    case 'event_property_is':
      return eventPropertyIs(condition, userId)
    case 'event_property_contains':
      return eventPropertyContains(condition, userId)
    case 'contains_display_name':
      return containsDisplayName
    case 'room_member_count':
      return roomMemberCount(condition)
    case 'sender_notification_permission':
      return senderNotificationPermission(condition)
    case 'io.element.msc4306.thread_subscription':
      return threadSubscription(condition)
    default:
      return undefined
  }
}

/** The condition of a `content` rule: its pattern occurs in the body. */
export function matchesBody(pattern: string): CompiledCondition {
  const matches = compileWordGlob(pattern.toLowerCase())
  return (event, _user, work) => {
    const body = loweredString(event, bodyPath)
    return body !== undefined && matches(body, work)
  }
}

const bodyPath = pathOf('content.body')
const mentionsPath = pathOf('content.m\\.mentions')

/** Whether an event has no `m.mentions`. */
export const hasNoMentions: CompiledCondition = (event) => propertyValue(event, mentionsPath) === undefined

/** Whether the user's localpart occurs in the body. */
export const containsUserName: CompiledCondition = (event, { userId }, work) => {
  const body = loweredString(event, bodyPath)
  const localpart = localpartOf(userId as UserId)
  return body !== undefined && localpart !== '' && containsWords(body, localpart.toLowerCase(), work)
}

function eventMatch({ key, pattern }: PushCondition, userId: string): CompiledCondition | undefined {
  if (typeof key !== 'string' || typeof pattern !== 'string') return undefined
  const path = pathOf(key)
  if (path.names.length === 2 && path.names[0] === 'content' && path.names[1] === 'body') return matchesBody(pattern)
  if (pattern === userId) return (event, user) => isSameIgnoringCase(propertyValue(event, path), user.userId)
  const matches = compileGlob(pattern.toLowerCase())
  return (event, _user, work) => {
    const value = loweredString(event, path)
    return value !== undefined && matches(value, work)
  }
}

function eventPropertyIs({ key, value }: PushCondition, userId: string): CompiledCondition | undefined {
  if (typeof key !== 'string' || !isScalar(value)) return undefined
  const path = pathOf(key)
  if (value === userId) return (event, user) => propertyValue(event, path) === user.userId
  return (event) => propertyValue(event, path) === value
}

function eventPropertyContains({ key, value }: PushCondition, userId: string): CompiledCondition | undefined {
  if (typeof key !== 'string' || !isScalar(value)) return undefined
  const path = pathOf(key)
  if (value === userId) return (event, user) => arrayMembers(event, path).has(user.userId)
  return (event) => arrayMembers(event, path).has(value)
}

const containsDisplayName: CompiledCondition = (event, { displayName }, work) => {
  const body = loweredString(event, bodyPath)
  return !!displayName && body !== undefined && containsWords(body, displayName.toLowerCase(), work)
}

function roomMemberCount({ is }: PushCondition): CompiledCondition | undefined {
  const parsed = typeof is === 'string' ? /^(==|<=|>=|<|>)?(\d+)$/.exec(is) : null
  if (!parsed) return undefined
  const bound = Number(parsed[2])
  switch (parsed[1]) {
    case '<':
      return ({ memberCount }) => memberCount < bound
    case '>':
      return ({ memberCount }) => memberCount > bound
    case '<=':
      return ({ memberCount }) => memberCount <= bound
    case '>=':
      return ({ memberCount }) => memberCount >= bound
    default:
      return ({ memberCount }) => memberCount === bound
  }
}

function senderNotificationPermission({ key }: PushCondition): CompiledCondition | undefined {
  if (typeof key !== 'string') return undefined
  return (event) => event.senderPowerLevel >= event.notificationLevel(key)
}

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4306: matches only events in threads. */
function threadSubscription({ subscribed }: PushCondition): CompiledCondition | undefined {
  if (typeof subscribed !== 'boolean') return undefined
  return ({ threadSubscribers }, { userId }) => threadSubscribers?.has(userId) === subscribed
}

function pathOf(key: string): PropertyPath {
  return { key, names: parsePropertyPath(key) }
}

/** Whether a value can be compared exactly; canonical JSON has no numbers except integers. */
function isScalar(value: unknown): boolean {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value)
}

function isSameIgnoringCase(value: unknown, other: string): boolean {
  if (value === other) return true
  return typeof value === 'string' && value.length === other.length && value.toLowerCase() === other.toLowerCase()
}
