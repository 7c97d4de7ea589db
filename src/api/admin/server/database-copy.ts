import { copyDatabase } from '../../../services/backup/copy-database.ts'
import { route } from '../../http/route.ts'
import { hearthV1 } from '../admin-fields.ts'

/** Copies the embedded database into the data folder, for `hearth backup` while the server runs. */
export const postDatabaseCopy = route({
  method: 'POST',
  path: hearthV1('/database/copy'),
  auth: 'admin',
  async handle(_request, app) {
    await copyDatabase(app)
    return {}
  },
})
