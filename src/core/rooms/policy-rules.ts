import { createHash } from 'node:crypto'
import type { JsonObject } from '../pdu.ts'
import { compileGlob, type Glob } from '../text/glob.ts'

/** The kinds of entities in rules of moderation policy lists. */
export type PolicySubject = 'server' | 'user' | 'room'

/** The rules of some policy lists. */
export type PolicyRules = {
  /** Returns the reason of a ban; '' without one; undefined: nobody bans it. */
  findBan(subject: PolicySubject, entity: string): string | undefined
  /** The number of bans, and of those that are ignored because of their wildcards. */
  size: number
  ignored: number
}

type RuleEvent = { type: string; content: JsonObject }

/** The specified types, and those of lists from before. */
const TYPE = /^(?:m\.policy\.rule|m\.room\.rule|org\.matrix\.mjolnir\.rule)\.(server|user|room)$/
/** A takedown (MSC4204) is a ban whose events disappear too. */
const BANS: readonly unknown[] = ['m.ban', 'org.matrix.mjolnir.ban', 'm.takedown', 'org.matrix.msc4204.takedown']
const MAX_ENTITY = 255
const MAX_REASON = 500
const KEPT_ANSWERS = 10_000
/** Wildcards of one rule, and of all together: each takes memory and time. */
const MAX_WILDCARDS = 32
const MOST_WILDCARDS = 300_000

/** Returns the subject of a rule's event type; undefined: it is no rule. */
export function policySubjectOf(type: string): PolicySubject | undefined {
  return TYPE.exec(type)?.[1] as PolicySubject | undefined
}

type Bans = { exact: Map<string, string>; globs: [Glob, string][] }
type Counts = { size: number; ignored: number; wildcards: number }

/**
 * Compiles the rules of policy lists that ban. Entities are globs, or hashes (MSC4205). Each answer takes linear time,
 * and is kept: with many globs it is expensive.
 * https://spec.matrix.org/v1.19/client-server-api/#moderation-policy-lists
 */
export function compilePolicyRules(events: Iterable<RuleEvent>): PolicyRules {
  const bans: Record<PolicySubject, Bans> = { server: emptyBans(), user: emptyBans(), room: emptyBans() }
  const counts: Counts = { size: 0, ignored: 0, wildcards: 0 }
  for (const { type, content } of events) {
    const subject = policySubjectOf(type)
    if (subject && BANS.includes(content.recommendation)) addBan(bans[subject], withEntity(subject, content), counts)
  }
  const answers = new Map<string, { reason: string | undefined }>()
  return {
    size: counts.size,
    ignored: counts.ignored,
    findBan(subject, entity) {
      const key = `${subject} ${entity}`
      const known = answers.get(key) ?? { reason: findIn(bans[subject], entity) }
      if (answers.size >= KEPT_ANSWERS) answers.clear()
      answers.set(key, known)
      return known.reason
    },
  }
}

function emptyBans(): Bans {
  return { exact: new Map(), globs: [] }
}

/** Names of servers are compared in lower case. */
function withEntity(subject: PolicySubject, content: JsonObject): JsonObject {
  const { entity } = content
  return subject === 'server' && typeof entity === 'string' ? { ...content, entity: entity.toLowerCase() } : content
}

function addBan({ exact, globs }: Bans, content: JsonObject, counts: Counts): void {
  const reason = typeof content.reason === 'string' ? content.reason.slice(0, MAX_REASON) : ''
  const { entity } = content
  const hashes = content['org.matrix.msc4205.hashes'] as { sha256?: unknown } | null | undefined
  if (typeof entity === 'string') {
    const wildcards = entity.length <= MAX_ENTITY ? (entity.match(/[*?]/g)?.length ?? 0) : MAX_ENTITY
    if (wildcards > MAX_WILDCARDS || counts.wildcards + wildcards > MOST_WILDCARDS) {
      counts.ignored++
      return
    }
    counts.wildcards += wildcards
    if (wildcards > 0) globs.push([compileGlob(entity), reason])
    else exact.set(entity, reason)
  } else if (typeof hashes?.sha256 === 'string') exact.set(hashKey(hashes.sha256), reason)
  else return
  counts.size++
}

function hashKey(sha256: string): string {
  return `sha256 ${sha256.replace(/={1,2}$/, '')}`
}

function findIn({ exact, globs }: Bans, entity: string): string | undefined {
  if (entity.length > MAX_ENTITY) return undefined
  const hash = createHash('sha256').update(entity).digest('base64')
  return exact.get(entity) ?? exact.get(hashKey(hash)) ?? globs.find(([matches]) => matches(entity))?.[1]
}
