import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { isWithin255Bytes, type RoomId, type UserId } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { findAccountData } from '../../../storage/users/account-data.ts'
import { lockUser } from '../../../storage/users/users.ts'
import { storeWithinLimits } from './account-data.ts'

/** A room's tags with their contents. https://spec.matrix.org/v1.19/client-server-api/#room-tagging */
type Tags = { [tag: string]: JsonObject }

/** The user and the room of tags. */
type TagOwner = { userId: UserId; roomId: RoomId }

/** Returns a user's tags of a room. */
export async function getTags(app: Pick<App, 'database'>, owner: TagOwner): Promise<Tags> {
  return readTags(app.database, owner)
}

/** Adds or changes a tag. Throws M_INVALID_PARAM for names that are too long, and M_TOO_LARGE. */
export async function putTag(
  app: Pick<App, 'database' | 'config'>,
  owner: TagOwner,
  { tag, content }: { tag: string; content: JsonObject },
): Promise<void> {
  if (!isWithin255Bytes(tag)) throw new InvalidParamError('Tags have at most 255 bytes')
  await changeTags(app, owner, (tags) => ({ ...tags, [tag]: content }))
}

/** Removes a tag, if present. */
export async function deleteTag(app: Pick<App, 'database' | 'config'>, owner: TagOwner, tag: string): Promise<void> {
  await changeTags(app, owner, ({ [tag]: _removed, ...others }) => others)
}

async function changeTags(
  app: Pick<App, 'database' | 'config'>,
  owner: TagOwner,
  change: (tags: Tags) => Tags,
): Promise<void> {
  const { userId, roomId } = owner
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const content = canonicalJson({ tags: change(await readTags(tx, owner)) }, { strict: false })
    await storeWithinLimits(app, tx, { userId, roomId, type: 'm.tag', content })
  })
}

/** Clients can also write m.tag as account data, with any content. */
async function readTags(db: Db, { userId, roomId }: TagOwner): Promise<Tags> {
  const text = await findAccountData(db, userId, { roomId, type: 'm.tag' })
  const tags: unknown = text && JSON.parse(text).tags
  return typeof tags === 'object' && tags !== null && !Array.isArray(tags) ? (tags as Tags) : {}
}
