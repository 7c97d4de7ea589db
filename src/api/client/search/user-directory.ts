import { z } from 'zod'
import { searchUsers } from '../../../services/search/user-directory.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3user_directorysearch */
export const postUserDirectorySearch = route({
  method: 'POST',
  path: v3('/user_directory/search'),
  auth: 'user',
  suspendedUsers: true,
  rateLimit: 'search',
  body: z.object({ search_term: z.string(), limit: z.int().min(0).optional() }),
  handle: ({ body, session }, app) =>
    searchUsers(app, { userId: session.userId, term: body.search_term, limit: body.limit }),
})
