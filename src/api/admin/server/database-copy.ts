import { ForbiddenError } from '../../../core/errors.ts'
import { copyDatabase } from '../../../services/backup/copy-database.ts'
import { administratorOf } from '../../../services/users/administration/operator.ts'
import { route } from '../../http/route.ts'
import { hearthV1 } from '../admin-fields.ts'

/** Copies the embedded database into the data folder, for commands of `hearth` that read it while the server runs. */
export const postDatabaseCopy = route({
  method: 'POST',
  path: hearthV1('/database/copy'),
  auth: 'admin',
  async handle({ session }, app) {
    // Only this machine can read the copy.
    if (administratorOf(session) !== null) throw new ForbiddenError('Only the command line of the server may do this')
    await copyDatabase(app)
    return {}
  },
})
