import type { Config } from '../../../config.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { compilePolicyRules, type PolicyRules, policySubjectOf } from '../../../core/rooms/policy-rules.ts'
import type { Clock } from '../../../infra/clock.ts'
import type { Logger } from '../../../infra/logger.ts'
import type { StreamTail } from '../../../infra/stream-tail.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { readStateInPieces } from '../../../storage/rooms/timeline/room-state.ts'

/** The rules of the policy rooms in the configuration. */
export type PolicyLists = {
  /** Returns the current rules. */
  rules(): Promise<PolicyRules>
}

const NO_RULES = compilePolicyRules([])
/** After loading, the rules are kept for at least this many times as long: a list may change all the time. */
const PAUSES = 10
/** At most; the clock may be set while the rules are loaded. */
const LONGEST_PAUSE_MS = 10 * 60_000
/** Rules of all lists together; further ones are ignored. */
const MOST_RULES = 500_000

type Capabilities = {
  config: Pick<Config, 'abuse'>
  database: Db
  stream: Pick<StreamTail, 'subscribe'>
  clock: Clock
  logger: Logger
}

/** Creates the lists. They are loaded when they are needed, and again when state of a policy room has changed. */
export function createPolicyLists(app: Capabilities): PolicyLists {
  const rooms = app.config.abuse.policy_rooms as RoomId[]
  if (rooms.length === 0) return { rules: async () => NO_RULES }
  const watched = new Set<string>(rooms)
  let isStale = true
  let rules: Promise<PolicyRules> | undefined
  let last = { loaded: 0, pause: 0 }

  app.stream.subscribe((rows) => {
    const changed = rows.some(({ room_id, detail }) => watched.has(room_id ?? '') || watched.has(detail ?? ''))
    if (changed) isStale = true
  })

  async function load(): Promise<PolicyRules> {
    const began = app.clock.now()
    try {
      const loaded = await loadRules(app, rooms)
      const now = app.clock.now()
      last = { loaded: now, pause: Math.min(PAUSES * (now - began), LONGEST_PAUSE_MS) }
      return loaded
    } catch (error) {
      isStale = true
      throw error
    }
  }

  function isPaused(): boolean {
    const elapsed = app.clock.now() - last.loaded
    return elapsed >= 0 && elapsed < last.pause
  }

  return {
    rules() {
      if (rules && (!isStale || isPaused())) return rules
      isStale = false
      const loading = load()
      rules = loading
      loading.catch(() => {
        if (rules === loading) rules = undefined
      })
      return loading
    },
  }
}

async function loadRules({ database, logger }: Capabilities, rooms: readonly RoomId[]): Promise<PolicyRules> {
  const found: Rule[] = []
  for (const roomId of rooms) {
    const head = await findRoomHead(database, roomId)
    if (head) await addRulesOf(database, head.state_root, found)
    else logger.warn({ room_id: roomId }, 'policy room unknown: no user of this server has joined it')
  }
  if (found.length >= MOST_RULES) logger.warn({ most: MOST_RULES }, 'policy rooms have too many rules')
  const rules = compilePolicyRules(found)
  if (rules.ignored > 0) logger.warn({ ignored: rules.ignored }, 'policy rules ignored, they have too many wildcards')
  return rules
}

type Rule = { type: string; content: JsonObject }

async function addRulesOf(db: Db, root: number, found: Rule[]): Promise<void> {
  for await (const events of readStateInPieces(db, root, 'rest')) {
    const rules = events.filter(({ pdu }) => policySubjectOf(pdu.type))
    found.push(...rules.slice(0, MOST_RULES - found.length).map(({ pdu: { type, content } }) => ({ type, content })))
    if (found.length >= MOST_RULES) return
  }
}
