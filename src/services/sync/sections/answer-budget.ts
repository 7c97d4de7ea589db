import type { App } from '../../../app.ts'
import { type StateBudget, stateBudget } from '../../../storage/rooms/timeline/state-budget.ts'

/** How much there is room for in an answer, in bytes of events. */
export type AnswerBudget = {
  /** In the timeline of each room. */
  timeline: number
  /** In the state of all rooms; used up as it is read. */
  state: StateBudget
}

/** The newest event of a room has its place in any case. */
const LEAST_TIMELINE = 64 * 1024

/** A budget for an answer about so many rooms. */
export function answerBudget({ config }: Pick<App, 'config'>, { rooms }: { rooms: number }): AnswerBudget {
  const { answers } = config.limits
  const share = Math.floor(answers.events / Math.max(1, rooms))
  const timeline = Math.max(LEAST_TIMELINE, Math.min(answers.timeline, share))
  return { timeline, state: stateBudget(answers.room_state) }
}

/** Says in the log if an answer lacks state for which there was no room. */
export function reportDropped(
  { logger }: Pick<App, 'logger'>,
  userId: string,
  { state: { dropped } }: AnswerBudget,
): void {
  if (dropped > 0)
    logger.warn({ user_id: userId, dropped }, 'pieces of state left out of an answer, as they are too large')
}
