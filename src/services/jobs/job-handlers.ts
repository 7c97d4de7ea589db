import { z } from 'zod'
import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { JobHandlers } from '../../infra/concurrency/job-runner.ts'
import { mail } from '../../infra/mail/mailer.ts'
import { EMAIL_DIGEST } from '../../storage/push/email-digests.ts'
import { REMOVE_GUESTS } from '../../storage/rooms/membership/guest-removals.ts'
import { APPLY_EARLY_REDACTIONS } from '../../storage/rooms/timeline/early-redactions.ts'
import { ALERT_NOTICE, ALERT_WEBHOOK, postAlert, sendAlertNotice } from '../figures/keep-alerts.ts'
import { continueMediaWork, MEDIA_WORK } from '../media/moderation/resumable-work.ts'
import { CHECK_ROOM_STATE, runStateCheck } from '../membership/check-room-state.ts'
import { CLEAN_ROOMS, cleanRooms } from '../membership/deletion/clean-rooms.ts'
import { DELETE_ROOM, runRoomDeletion } from '../membership/deletion/delete-room.ts'
import { runErasure } from '../membership/erase-user.ts'
import { leaveAllRooms } from '../membership/leave-all-rooms.ts'
import { REJECT_INVITES, runRejection } from '../membership/reject-invites.ts'
import { sendDigest } from '../push/send-digest.ts'
import { removeGuests } from '../rooms/access/guest-access.ts'
import { PURGE_HISTORY, runHistoryPurge } from '../rooms/administration/purge-history.ts'
import { RECOUNT_ROOMS, runRecount } from '../rooms/administration/recount-rooms.ts'
import { updateMemberProfiles } from '../rooms/reading/member-profiles.ts'
import { REDACT_RELATED } from '../rooms/sending/redact-event.ts'
import { redactRelated } from '../rooms/sending/redact-related.ts'
import { REDACT_USER, runUserRedaction } from '../rooms/sending/redact-user.ts'
import { applyEarly } from '../rooms/timeline/apply-early.ts'
import { ERASE_USER, LEAVE_ALL_ROOMS } from '../users/deactivate.ts'
import { SEND_MAIL } from '../users/mail/compose-mail.ts'
import { SEND_TEXT, sendTextMessage } from '../users/phone-proof.ts'
import { UPDATE_MEMBER_PROFILES } from '../users/profile.ts'

const ofPusher = z.object({ pusher_nid: z.int() })
const ofUser = z.object({ user_id: z.string().transform((id) => id as UserId) })

/** Returns the handler of each kind of job. */
export function jobHandlers(app: App): JobHandlers {
  return {
    [ALERT_NOTICE]: (payload) => sendAlertNotice(app, payload),
    [ALERT_WEBHOOK]: (payload) => postAlert(app, payload),
    [APPLY_EARLY_REDACTIONS]: (payload) => applyEarly(app, payload),
    [CHECK_ROOM_STATE]: (payload) => runStateCheck(app, payload),
    [CLEAN_ROOMS]: (payload) => cleanRooms(app, payload),
    [DELETE_ROOM]: (payload) => runRoomDeletion(app, payload),
    [ERASE_USER]: (payload) => runErasure(app, payload),
    [EMAIL_DIGEST]: (payload) => sendDigest(app, ofPusher.parse(payload).pusher_nid),
    [SEND_MAIL]: (payload) => sendMail(app, payload),
    [SEND_TEXT]: (payload) => sendTextMessage(app, payload),
    [LEAVE_ALL_ROOMS]: (payload) => leaveAllRooms(app, ofUser.parse(payload).user_id),
    [MEDIA_WORK]: (payload) => continueMediaWork(app, payload),
    [PURGE_HISTORY]: (payload) => runHistoryPurge(app, payload),
    [RECOUNT_ROOMS]: (payload) => runRecount(app, payload),
    [REDACT_USER]: (payload) => runUserRedaction(app, payload),
    [REDACT_RELATED]: (payload) => redactRelated(app, payload),
    [REJECT_INVITES]: (payload) => runRejection(app, payload),
    [REMOVE_GUESTS]: (payload) => removeGuests(app, payload),
    [UPDATE_MEMBER_PROFILES]: (payload) => updateMemberProfiles(app, ofUser.parse(payload).user_id),
  }
}

async function sendMail(app: App, payload: unknown): Promise<void> {
  if (!app.mailer) throw new Error('there is no mail server any more')
  await app.mailer.send(mail.parse(payload))
}
