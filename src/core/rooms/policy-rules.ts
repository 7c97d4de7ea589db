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
/** The characters of entities and reasons of all rules. */
const MOST_CHARACTERS = 64 * 1024 * 1024

/** Returns the subject of a rule's event type; undefined: it is no rule. */
export function policySubjectOf(type: string): PolicySubject | undefined {
  return TYPE.exec(type)?.[1] as PolicySubject | undefined
}

type Bans = { exact: Map<string, string>; globs: [Glob, string][] }
type Counts = { size: number; ignored: number; wildcards: number; characters: number }

/** Compiles the rules of policy lists that ban, of events of all types. */
export function compilePolicyRules(events: Iterable<RuleEvent>): PolicyRules {
  const { add, rules } = createPolicyRules()
  for (const event of events) add(event)
  return rules
}

/**
 * Creates rules to which `add` adds those of policy lists that ban, one event after the other, so that no event is kept.
 * Entities are globs, or hashes (MSC4205). Each answer takes linear time, and is kept: with many globs it is expensive.
 * https://spec.matrix.org/v1.19/client-server-api/#moderation-policy-lists
 */
export function createPolicyRules(): { add(event: RuleEvent): void; rules: PolicyRules } {
  const bans: Record<PolicySubject, Bans> = { server: emptyBans(), user: emptyBans(), room: emptyBans() }
  const counts: Counts = { size: 0, ignored: 0, wildcards: 0, characters: 0 }
  const answers = new Map<string, { reason: string | undefined }>()
  const add = ({ type, content }: RuleEvent) => {
    const subject = policySubjectOf(type)
    if (subject && BANS.includes(content.recommendation)) addBan(bans[subject], withEntity(subject, content), counts)
  }
  const rules: PolicyRules = {
    get size() {
      return counts.size
    },
    get ignored() {
      return counts.ignored
    },
    findBan(subject, entity) {
      const key = `${subject} ${entity}`
      const known = answers.get(key) ?? { reason: findIn(bans[subject], entity) }
      if (answers.size >= KEPT_ANSWERS) answers.clear()
      answers.set(key, known)
      return known.reason
    },
  }
  return { add, rules }
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
  const reason = typeof content.reason === 'string' ? startOf(content.reason) : ''
  const { entity } = content
  const hashes = content['org.matrix.msc4205.hashes'] as { sha256?: unknown } | null | undefined
  const name = typeof entity === 'string' ? entity : hashKey(hashes?.sha256)
  if (name === undefined) return
  const wildcards = typeof entity === 'string' ? (entity.match(/[*?]/g)?.length ?? 0) : 0
  const characters = name.length + reason.length
  const isMeager = name.length <= MAX_ENTITY && wildcards <= MAX_WILDCARDS
  const fits = counts.wildcards + wildcards <= MOST_WILDCARDS && counts.characters + characters <= MOST_CHARACTERS
  if (!isMeager || !fits) {
    counts.ignored++
    return
  }
  counts.wildcards += wildcards
  counts.characters += characters
  if (wildcards > 0) globs.push([compileGlob(name), reason])
  else exact.set(name, reason)
  counts.size++
}

/** Returns the first characters, as a copy that does not keep the whole text in memory. */
function startOf(reason: string): string {
  return reason.length <= MAX_REASON ? reason : Buffer.from(reason.slice(0, MAX_REASON)).toString()
}

function hashKey(sha256: unknown): string | undefined {
  return typeof sha256 === 'string' ? `sha256 ${sha256.replace(/={1,2}$/, '')}` : undefined
}

function findIn({ exact, globs }: Bans, entity: string): string | undefined {
  if (entity.length > MAX_ENTITY) return undefined
  const hash = createHash('sha256').update(entity).digest('base64')
  return exact.get(entity) ?? exact.get(hashKey(hash)!) ?? globs.find(([matches]) => matches(entity))?.[1]
}
