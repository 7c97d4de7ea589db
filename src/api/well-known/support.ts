import { NotFoundError } from '../../core/errors.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport */
export const getWellKnownSupport = route({
  method: 'GET',
  path: '/.well-known/matrix/support',
  auth: 'none',
  handle(_call, app) {
    const { contacts, page } = app.config.support
    if (contacts.length === 0 && page === undefined) throw new NotFoundError('This server has no support contacts')
    return { ...(contacts.length > 0 && { contacts }), ...(page !== undefined && { support_page: page }) }
  },
})
