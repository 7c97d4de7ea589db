import { setTimeout } from 'node:timers/promises'
import type { Config } from '../../../config.ts'
import type { RoomId } from '../../../core/ids.ts'
import {
  compilePolicyRules,
  createPolicyRules,
  type PolicyRules,
  policySubjectOf,
} from '../../../core/rooms/policy-rules.ts'
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
/** How long a check waits for changed rules: the ban of a user who acts next is among them. */
const WAIT_MS = 1000
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
  let rules: PolicyRules | undefined
  let loading: Promise<PolicyRules> | undefined
  let last = { loaded: 0, pause: 0 }

  app.stream.subscribe((rows) => {
    const changed = rows.some(({ room_id, detail }) => watched.has(room_id ?? '') || watched.has(detail ?? ''))
    if (changed) isStale = true
  })

  async function load(): Promise<PolicyRules> {
    const began = app.clock.now()
    isStale = false
    try {
      rules = await loadRules(app, rooms)
      const now = app.clock.now()
      last = { loaded: now, pause: Math.min(PAUSES * (now - began), LONGEST_PAUSE_MS) }
      return rules
    } catch (error) {
      isStale = true
      if (!rules) throw error
      app.logger.warn({ err: error }, 'reload of policy rooms failed, will retry')
      return rules
    } finally {
      loading = undefined
    }
  }

  function isPaused(): boolean {
    const elapsed = app.clock.now() - last.loaded
    return elapsed >= 0 && elapsed < last.pause
  }

  return {
    async rules() {
      if (rules && !loading && (!isStale || isPaused())) return rules
      loading ??= load()
      // Large lists take seconds to load: in the meantime, the rules from before the change hold.
      return rules ? Promise.race([loading, setTimeout(WAIT_MS, rules, { ref: false })]) : loading
    },
  }
}

async function loadRules({ database, logger }: Capabilities, rooms: readonly RoomId[]): Promise<PolicyRules> {
  const { add, rules } = createPolicyRules()
  let left = MOST_RULES
  for (const roomId of rooms) {
    const head = await findRoomHead(database, roomId)
    if (head) left -= await addRulesOf(database, head.state_root, { add, most: left })
    else logger.warn({ room_id: roomId }, 'policy room unknown: no user of this server has joined it')
  }
  if (left <= 0) logger.warn({ most: MOST_RULES }, 'policy rooms have too many rules')
  if (rules.ignored > 0) logger.warn({ ignored: rules.ignored }, 'policy rules ignored, they are too long or too many')
  return rules
}

/** Adds the rules of a room's state, and returns their number. */
async function addRulesOf(
  db: Db,
  root: number,
  { add, most }: Pick<ReturnType<typeof createPolicyRules>, 'add'> & { most: number },
): Promise<number> {
  let added = 0
  for await (const events of readStateInPieces(db, root, 'rest')) {
    for (const { pdu } of events) {
      if (!policySubjectOf(pdu.type)) continue
      if (added >= most) return added
      add(pdu)
      added++
    }
  }
  return added
}
