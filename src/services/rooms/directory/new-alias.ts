import type { App } from '../../../app.ts'
import { type Appservice, isInNamespace, isReserved } from '../../../core/appservice.ts'
import { InvalidParamError, MatrixError } from '../../../core/errors.ts'
import { isRoomAlias, parseRoomAlias, type RoomAlias, type UserId } from '../../../core/ids.ts'

/**
 * Returns the local alias with this localpart. Throws M_INVALID_PARAM for a localpart that cannot be typed or linked
 * to.
 * https://spec.matrix.org/v1.19/appendices/#room-aliases
 */
export function newAlias(app: Pick<App, 'serverName'>, localpart: string): RoomAlias {
  const alias = `#${localpart}:${app.serverName}`
  if (localpart === '' || /[\s:\p{Cc}]/u.test(localpart) || !isRoomAlias(alias)) {
    throw new InvalidParamError('An alias has no spaces and no colon before the server name, and at most 255 bytes')
  }
  return alias
}

/** Validates a complete alias. Throws M_INVALID_PARAM also for one of another server. */
export function requireLocalAlias(app: Pick<App, 'serverName'>, alias: RoomAlias): RoomAlias {
  const parts = parseRoomAlias(alias)
  if (parts?.serverName !== app.serverName) throw new InvalidParamError(`${alias} is not an alias of this server`)
  return newAlias(app, parts.localpart)
}

/**
 * Throws M_EXCLUSIVE for an alias in an application service's exclusive namespace, unless that service or its sender
 * makes the request, and for an alias of an application service outside its namespaces.
 * https://spec.matrix.org/v1.19/application-service-api/#server-admin-style-permissions
 */
export function requireUnreservedAlias(
  { config }: Pick<App, 'config'>,
  alias: RoomAlias,
  { userId, appservice }: { userId: UserId; appservice: Appservice | null },
): void {
  // Bots that encrypt may have a session of their own, and still act as the application service.
  const own = appservice ?? config.appservices.find(({ sender }) => sender === userId)
  if (isReserved(config.appservices, 'aliases', alias, own)) {
    throw new MatrixError(400, 'M_EXCLUSIVE', 'This alias is reserved for an application service')
  }
  if (appservice && !isInNamespace(appservice, 'aliases', alias)) {
    throw new MatrixError(400, 'M_EXCLUSIVE', "This alias is not in the application service's namespace")
  }
}
