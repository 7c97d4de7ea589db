import type { App } from '../../../app.ts'
import { type StateBudget, stateBudget } from '../../../storage/rooms/timeline/state-budget.ts'

/** Byte limits of a response. */
export type AnswerBudget = {
  /** For the timeline of each room. */
  timeline: number
  /** For the state of all rooms; used up as it is read. */
  state: StateBudget
}

/** The newest event of a room always fits. */
const LEAST_TIMELINE = 64 * 1024

/** Creates the budget of a response with this number of rooms. */
export function answerBudget({ config }: Pick<App, 'config'>, { rooms }: { rooms: number }): AnswerBudget {
  const { answers } = config.limits
  const share = Math.floor(answers.events / Math.max(1, rooms))
  const timeline = Math.max(LEAST_TIMELINE, Math.min(answers.timeline, share))
  return { timeline, state: stateBudget(answers.room_state) }
}

/** Logs if a response omits state for lack of budget. */
export function reportDropped(
  { logger }: Pick<App, 'logger'>,
  userId: string,
  { state: { dropped } }: AnswerBudget,
): void {
  if (dropped > 0) logger.warn({ user_id: userId, dropped }, 'state too large, events omitted from response')
}
