import { z } from 'zod'
import { listAudited } from '../../../services/users/administration/audit-log.ts'
import type { AuditRow } from '../../../storage/schema/administration.ts'
import { direction } from '../../client/rooms/pagination-fields.ts'
import { queryInteger } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { hearthV1, listPage } from '../admin-fields.ts'

const filter = z
  .string()
  .max(512)
  .refine((text) => !text.includes('\0'), 'cannot contain NUL')

/** Lists what administrators did, the newest first. `from` is the `next_token` of the page before. */
export const getAuditLog = route({
  method: 'GET',
  path: hearthV1('/audit_log'),
  auth: 'admin',
  query: listPage.extend({
    from: queryInteger.optional(),
    dir: direction.default('backwards'),
    actor: filter.optional(),
    target: filter.optional(),
  }),
  async handle({ query: { from = null, limit, dir, actor = null, target = null } }, app) {
    const page = { beyond: from, limit, newestFirst: dir === 'backwards' }
    const entries = await listAudited(app, { ...page, actor, target })
    const last = entries.at(-1)
    return {
      entries: entries.map(describe),
      ...(last && entries.length === limit && { next_token: last.entry_nid }),
    }
  },
})

function describe({ entry_nid, acted_ts, details, ...entry }: AuditRow) {
  return { id: entry_nid, ts: acted_ts, ...entry, details: JSON.parse(details) }
}
