import type { App } from '../../../app.ts'
import { acceptMember, type MemberSubmission } from './accept-member.ts'
import { joinAnswer, type RoomPart, readRoomPart } from './join-answer.ts'

/**
 * Lets a user of another server into a room; returns the pieces of the JSON that hands the room over to that server.
 * Throws as `acceptMember` does.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
 */
export async function serveJoin(
  app: App,
  submission: Omit<MemberSubmission, 'membership'>,
  { omitMembers }: { omitMembers: boolean },
): Promise<AsyncIterable<string>> {
  let reading: Promise<RoomPart | undefined> | undefined
  const join = await acceptMember(app, { ...submission, membership: 'join' }, (event, { state_root }) => {
    // What fails here is read, and fails, once more where it is needed.
    if (omitMembers) reading = readRoomPart(app, state_root, event).catch(() => undefined)
  })
  return joinAnswer(app, join, { omitMembers, ready: await reading })
}
