import { z } from 'zod'
import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { JobHandlers } from '../../infra/job-runner.ts'
import { leaveAllRooms } from '../federation/leave-all-rooms.ts'
import { updateMemberProfiles } from '../rooms/member-profiles.ts'
import { REDACT_RELATED } from '../rooms/redact-event.ts'
import { redactRelated } from '../rooms/redact-related.ts'
import { LEAVE_ALL_ROOMS } from '../users/deactivate.ts'
import { UPDATE_MEMBER_PROFILES } from '../users/profile.ts'

const ofUser = z.object({ user_id: z.string().transform((id) => id as UserId) })

/** What is done for each kind of job. */
export function jobHandlers(app: App): JobHandlers {
  return {
    [LEAVE_ALL_ROOMS]: (payload) => leaveAllRooms(app, ofUser.parse(payload).user_id),
    [REDACT_RELATED]: (payload) => redactRelated(app, payload),
    [UPDATE_MEMBER_PROFILES]: (payload) => updateMemberProfiles(app, ofUser.parse(payload).user_id),
  }
}
