import type { App } from '../../../app.ts'
import { acceptMember, type MemberSubmission } from './accept-member.ts'
import { joinAnswer, type RoomPart, readRoomPart } from './join-answer.ts'

/**
 * Adds a remote user to a room, and returns the pieces of the JSON response with the room. Throws as `acceptMember`.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
 */
export async function serveJoin(
  app: App,
  submission: Omit<MemberSubmission, 'membership'>,
  { omitMembers }: { omitMembers: boolean },
): Promise<AsyncIterable<string>> {
  let reading: Promise<RoomPart | undefined> | undefined
  const join = await acceptMember(app, { ...submission, membership: 'join' }, (event, { state_root }) => {
    // A failed read is repeated, and reported, where the data is needed.
    if (omitMembers) reading = readRoomPart(app, state_root, event).catch(() => undefined)
  })
  return joinAnswer(app, join, { omitMembers, ready: await reading })
}
