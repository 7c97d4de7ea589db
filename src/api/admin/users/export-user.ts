import { exportUser } from '../../../services/backup/export-user.ts'
import { route } from '../../http/route.ts'
import { sendArchive } from '../../http/send-archive.ts'
import { hearthV1, ofUser } from '../admin-fields.ts'

/** Sends all data of a user as a ZIP archive, which is written while it is sent. */
export const getUserExport = route({
  method: 'GET',
  path: hearthV1('/users/:userId/export'),
  auth: 'admin',
  isAudited: true,
  params: ofUser,
  async handle({ params: { userId }, response, owner, signal }, app) {
    const archive = await exportUser(app, { userId, signal })
    return sendArchive(app, { response, owner }, { archive, name: 'user-data.zip' })
  },
})
